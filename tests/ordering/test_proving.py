"""Who is at the other end: signed callbacks over HTTP, and certificates on both sides."""

import asyncio
import base64
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from app.core import signing
from app.core.clock import wall
from app.core.settings import Settings
from app.ordering.client import OrderingClient
from app.ordering.client.sign_in import tls_of
from app.ordering.rules import Cause, NotSent, OrderingFailed
from app.sales.rules import SaleState
from tests.ordering.conftest import RawServer
from tests.ordering.delivering import event, make_desk, remote

URL = "/v1/ordering/callbacks"
SECRET = b"s" * 32


# --- callbacks that are signed --------------------------------------------------------------------


@pytest.fixture
def settings(database_url, tmp_path):
    written = "whsec_" + base64.b64encode(SECRET).decode()
    return Settings(
        database_url=database_url,
        signing_keys=tmp_path / "keys",
        log_level="WARNING",
        ordering_callback_secret=SecretStr(written),
    )


@pytest.fixture
async def desk(database, clock, settings):
    return await make_desk(database, clock, settings)


async def test_a_signed_callback_is_heard_and_a_forged_or_old_one_is_not(http, desk):
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote()])
    body = orjson.dumps(event(sale_id, "completed"))
    now = wall()
    right = signing.sign(SECRET, "msg_1", now, body)
    wrong = [
        {},
        signing.sign(b"o" * 32, "msg_1", now, body),  # another secret
        signing.sign(SECRET, "msg_1", now, body + b" "),  # another body
        right | {"webhook-id": "msg_2"},
        signing.sign(SECRET, "msg_1", now - timedelta(minutes=6), body),  # somebody's copy
        signing.sign(SECRET, "msg_1", now + timedelta(minutes=6), body),
        {"webhook-signature": "v1,"},
        {"authorization": "Bearer "},  # no token is agreed on, so none is right
    ]
    for headers in wrong:
        answer = await http.post(URL, content=body, headers=headers)
        assert answer.status_code == 401, headers
    assert await desk.callbacks() == []
    assert (await desk.sale(sale_id)).state is SaleState.ACKNOWLEDGED
    # While a secret is being changed, its sender gives a signature by either.
    both = right["webhook-signature"] + " v1,AAAA"
    for headers in (right, right | {"webhook-signature": both}):
        assert (await http.post(URL, content=body, headers=headers)).status_code == 204
    assert (await desk.sale(sale_id)).state is SaleState.COMPLETED
    assert [each.verdict for each in await desk.callbacks()] == ["move"]


# --- certificates ---------------------------------------------------------------------------------


class Authority:
    """A certificate authority of this test, and what it issues, as PEM files in a folder."""

    def __init__(self, folder, name):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._own = self._issue(self._name, self._key, x509.BasicConstraints(True, 0))
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._own.public_bytes(serialization.Encoding.PEM))

    def certificate(self, name):
        """Issue a certificate for this machine; the files of it and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._issue(
            subject,
            key,
            x509.BasicConstraints(False, None),
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
        )
        file, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return file, key_file

    def _issue(self, subject, key, *extensions):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(self._key, hashes.SHA256())


async def test_both_sides_show_a_certificate_and_know_the_others(tmp_path):
    """An ordering system that lets in only whom its authority has issued a certificate."""
    theirs, another = Authority(tmp_path, "theirs"), Authority(tmp_path, "another")
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(theirs.file))
    server_tls.verify_mode = ssl.CERT_REQUIRED
    server_tls.load_cert_chain(*theirs.certificate("ordering-system"))
    raw = RawServer()
    content = b'{"id": "7", "state": "inProgress"}'
    raw.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(content)
    ) + content
    server = await asyncio.start_server(raw.handle, "127.0.0.1", 0, ssl=server_tls)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def settings(authority, certificate=None, key=None):
        return Settings(
            ordering_authority=authority,
            ordering_certificate=certificate,
            ordering_certificate_key=key,
        )

    async def get(chosen):
        async with OrderingClient(url, tls=tls_of(chosen), time_limit=5) as client:
            return await client.get("7")

    try:
        order = await get(settings(theirs.file, *theirs.certificate("yingwei")))
        assert order is not None
        assert order.id == "7"
        assert len(raw.received) == 1
        # Without a certificate, or with one of somebody else's making, nothing is heard from us.
        for chosen in (
            settings(theirs.file),
            settings(theirs.file, *another.certificate("stranger")),
        ):
            with pytest.raises(OrderingFailed):
                await get(chosen)
        # And we tell nothing to a system that we do not know.
        with pytest.raises(NotSent) as failed:
            await get(settings(another.file, *theirs.certificate("yingwei-2")))
        assert failed.value.cause is Cause.UNREACHABLE
        assert len(raw.received) == 1
    finally:
        server.close()
        await server.wait_closed()
