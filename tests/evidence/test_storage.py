"""The storage behind its door: a folder and a bucket alike, full disks, and what is away."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest
from obstore.exceptions import GenericError
from pydantic import SecretStr
from sqlalchemy import select

from app.core.db import new_id
from app.core.errors import Unavailable
from app.evidence.models import Evidence
from app.evidence.rules.uploads import StorageFull
from app.evidence.storage import Storage, folder_of


class Bucket(BaseHTTPRequestHandler):
    """As much of S3 as one bucket needs: put, get, delete and list, and how it says no room."""

    def log_message(self, *said: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    @property
    def key(self) -> str:
        """The file that is asked for, after the bucket's name."""
        assert "AWS4-HMAC-SHA256 Credential=who/" in self.headers["authorization"]
        return urlsplit(self.path).path.removeprefix("/pictures").lstrip("/")

    def do_PUT(self) -> None:
        """Keep a file."""
        data = self.rfile.read(int(self.headers["content-length"]))
        if self.server.full:  # type: ignore[attr-defined]
            self._answer(507, b"<Error><Code>XMinioStorageFull</Code></Error>")
            return
        self.server.files[self.key] = data  # type: ignore[attr-defined]
        self._answer(200, ETag='"1"')

    def do_GET(self) -> None:
        """Give a file, or list a folder's."""
        files: dict[str, bytes] = self.server.files  # type: ignore[attr-defined]
        asked = parse_qs(urlsplit(self.path).query)
        if "list-type" in asked:
            found = "".join(
                f"<Contents><Key>{escape(name)}</Key><Size>{len(data)}</Size><ETag>1</ETag>"
                "<LastModified>2026-03-02T01:00:00.000Z</LastModified></Contents>"
                for name, data in files.items()
                if name.startswith(asked["prefix"][0])
            )
            self._answer(200, f"<ListBucketResult>{found}</ListBucketResult>".encode())
        elif self.key in files:
            when = "Mon, 02 Mar 2026 01:00:00 GMT"
            self._answer(200, files[self.key], ETag='"1"', Last_Modified=when)
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_POST(self) -> None:
        """Remove files."""
        asked = self.rfile.read(int(self.headers["content-length"])).decode()
        assert self.path.endswith("?delete")
        names = re.findall(r"<Key>(.*?)</Key>", asked)
        for name in names:
            self.server.files.pop(name, None)  # type: ignore[attr-defined]
        gone = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names)
        self._answer(200, f"<DeleteResult>{gone}</DeleteResult>".encode())


@pytest.fixture
def bucket() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    server.files, server.full = {}, False  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def in_bucket(settings, bucket):
    return settings.model_copy(
        update={
            "evidence_bucket": "pictures",
            "evidence_endpoint": f"http://127.0.0.1:{bucket.server_address[1]}",
            "evidence_access_key": SecretStr("who"),
            "evidence_secret_key": SecretStr("secret"),
            "evidence_timeout_seconds": 5.0,
        }
    )


@pytest.mark.parametrize("where", ["settings", "in_bucket"])
async def test_a_folder_and_a_bucket_are_alike(where, request):
    storage = Storage.of(request.getfixturevalue(where))
    one, other = new_id(), new_id()
    for name, data in (("piece-1", b"hello "), ("piece-2", b"world" * 100_000), ("sent", b"x")):
        await storage.put(one, name, data, lasting=name == "sent")
    await storage.put(other, "piece-1", b"another's")
    await storage.put(one, "piece-1", b"hello ")
    assert sorted(await storage.names(one)) == ["piece-1", "piece-2", "sent"]
    assert await storage.read(one, "piece-1") == b"hello "
    parts = [len(part) async for part in await storage.stream(one, "piece-2")]
    assert sum(parts) == 500_000
    await storage.remove(one, ["piece-1", "piece-2", "never"])
    assert await storage.names(one) == ["sent"]
    assert await storage.names(new_id()) == []
    with pytest.raises(FileNotFoundError):
        await storage.read(one, "piece-1")
    assert await storage.read(other, "piece-1") == b"another's"
    assert folder_of(one) != folder_of(other)


async def test_a_bucket_that_is_full_or_away(in_bucket, bucket):
    storage = Storage.of(in_bucket)
    upload_id = new_id()
    await storage.put(upload_id, "sent", b"there")
    bucket.full = True
    with pytest.raises(StorageFull):
        await storage.put(upload_id, "more", b"no room")
    # Reading goes on.
    assert await storage.read(upload_id, "sent") == b"there"
    away = in_bucket.model_copy(
        update={"evidence_endpoint": "http://127.0.0.1:9", "evidence_timeout_seconds": 0.3}
    )
    with pytest.raises(Unavailable):
        await Storage.of(away).put(upload_id, "more", b"nobody there")


async def test_a_full_disk_keeps_what_was_there_and_goes_on_later(
    upload, app, tx, monkeypatch, folder, http
):
    going = upload()
    await going.announce()
    await going.send(going.data[:100], 0)
    refusing = monkeypatch.context()
    with refusing as patch:
        patch.setattr("app.evidence.storage.obstore.put_async", no_room)
        answer = await going.send(going.data[100:], 100)
        assert (answer.status_code, answer.json()["type"]) == (
            507,
            "urn:yingwei:problem:storage-full",
        )
        assert answer.headers["retry-after"] == "30"
        assert (await going.stands(), folder()) == (100, ["piece"])
    # No room is found at the very end, too: all bytes are there, and the picture is kept later.
    kept = Storage.put

    async def only_pieces(self, upload_id, name, data, **more):
        if name == "sent":
            raise StorageFull(retry_after=30)
        await kept(self, upload_id, name, data, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "put", only_pieces)
        assert (await going.send(going.data[100:], 100)).status_code == 507
    assert (await tx.scalars(select(Evidence))).one().state == "announced"
    assert await going.stands() == len(going.data)
    found = (await tx.scalars(select(Evidence).execution_options(populate_existing=True))).one()
    assert found.state == "stored"


async def no_room(*given, **more):
    raise GenericError(
        "Generic LocalFileSystem error: Unable to copy data to file: No space left on device"
        " (os error 28)"
    )
