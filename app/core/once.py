"""Requests that come again: the answer to the first is kept under a key, and given once more.

The header is that of the IETF's draft on idempotency keys. What is kept is written in the
transaction of the request itself: whoever finds no answer under a key knows that nothing was done.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b, sha256
from secrets import token_bytes
from typing import Any
from uuid import UUID
from zlib import compress, decompress

import orjson
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from sqlalchemy import LargeBinary
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from starlette.requests import Request
from starlette.responses import Response

from app.core.clock import wall
from app.core.db import Base, Database, fetched
from app.core.errors import Conflict, Invalid, Malformed, Problem
from app.core.http import render
from app.core.i18n import Words
from app.core.parameters import Parameter

HEADER = "idempotency-key"
# Tells that an answer was given before.
REPLAYED = "idempotent-replayed"
# The draft writes a key between quotation marks; many clients leave them out.
KEY = re.compile(r'^"?([A-Za-z0-9._:\-]{16,128})"?$')

KEPT_DAYS = Parameter(
    "requests.answers_kept_days",
    default=35.0,
    unit="d",
    words=Words(
        zh="带幂等键的请求，其结果保留的天数",
        en="Days for which the answer to a request with an idempotency key is kept",
    ),
    least=30.0,
    most=400.0,
)

# Refusals that say nothing of what was asked for, only of who asked or when: another try with the
# same key is judged anew.
_JUDGED_ANEW = frozenset({401, 403, 408, 413, 415, 425, 426, 429})
_NONCE = 12


class KeyMalformed(Malformed):
    slug = "idempotency-key-malformed"
    title = Words(zh="幂等键格式有误", en="The idempotency key cannot be read")
    advice = Words(
        zh="请为每次新的操作生成一个随机键（如 UUID，16 至 128 个字符），重试时原样发送。",
        en="Make a random key for each thing to be done, such as a UUID (16 to 128 characters), and"
        " send the same one when trying again.",
    )


class KeyReused(Invalid):
    slug = "idempotency-key-reused"
    title = Words(
        zh="同一幂等键已用于不同的请求", en="This idempotency key stands for another request"
    )
    advice = Words(
        zh="重试时须原样发送同一请求；新的操作请使用新的键。",
        en="Send the very same request when trying again, and a new key for anything else.",
    )


class StillRunning(Conflict):
    slug = "still-running"
    title = Words(zh="同一请求仍在处理中", en="The same request is still being served")
    advice = Words(
        zh="请在 {retry_after} 秒后用同一个键重试，以取得其结果。",
        en="Try again with the same key in {retry_after} seconds to get its answer.",
    )


class KeptAnswer(Base):
    """The answer to a request that came with a key.

    The table alone opens nothing: of account and key there is a digest only, the request's own
    digest is made with the key, and the answer, which may speak of customers, is sealed with it.
    """

    __tablename__ = "kept_answer"

    key_hash: Mapped[bytes] = mapped_column(LargeBinary(), primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary())
    status: Mapped[int]
    sealed: Mapped[bytes] = mapped_column(LargeBinary())
    kept_at: Mapped[datetime] = mapped_column(index=True)


class Known(Exception):
    """A request's answer is known already."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer


@dataclass
class Once:
    """One request with its key, from its arrival until its answer is kept."""

    key: str
    request: Request
    content: bytes
    answer: Response | None = None
    _seal: "_Seal | None" = None

    @classmethod
    async def of(cls, request: Request) -> "Once":
        """Read a request that has a key. Raises KeyMalformed."""
        found = KEY.match(request.headers[HEADER])
        if found is None:
            raise KeyMalformed(reason=HEADER)
        asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
        return cls(found[1], request, asked + await request.body())

    async def begin(self, tx: AsyncSession) -> None:
        """Claim the key until the transaction ends.

        Raises Known where there is an answer, KeyReused where it was another request's, and
        StillRunning while one with this key is being served.
        """
        account_id: UUID = self.request.scope["caller"].account_id
        self._seal = seal = _Seal(account_id, self.key, self.content)
        if not (await fetched(tx, _CLAIM, {"key": seal.lock}))[0][0]:
            raise StillRunning(retry_after=1)
        # Only now: what another request with this key has kept is seen from here on.
        found = await fetched(tx, _FIND, {"key_hash": seal.name})
        if not found:
            return
        request_hash, status, sealed = found[0]
        if request_hash != seal.request:
            raise KeyReused(errors=[{"field": HEADER, "message": "another request's"}])
        raise Known(seal.opened(status, sealed))

    async def keep(self, tx: AsyncSession) -> None:
        """Keep the answer, if the doorway has made one whose bytes are known."""
        if self.answer is not None and self._seal is not None and hasattr(self.answer, "body"):
            await fetched(tx, _KEEP, self._seal.closed(self.answer, wall()))

    async def keep_refusal(self, database: Database, problem: Problem) -> None:
        """Keep a refusal, after what was begun was undone; not one that may be another soon."""
        judged = 400 <= problem.status < 500 and problem.status not in _JUDGED_ANEW
        of_the_key = isinstance(problem, KeyReused | StillRunning)
        if self._seal is None or not judged or of_the_key or "retry_after" in problem.facts:
            return
        # Where it cannot be kept, the same request is judged anew: nothing was done by this one.
        with suppress(Problem):
            async with database.begin() as tx:
                row = self._seal.closed(render(self.request, problem), wall())
                await fetched(tx, _KEEP_REFUSAL, row)


_CLAIM = "SELECT pg_try_advisory_xact_lock(%(key)s)"
_FIND = "SELECT request_hash, status, sealed FROM kept_answer WHERE key_hash = %(key_hash)s"
_INSERT = """
    INSERT INTO kept_answer (key_hash, request_hash, status, sealed, kept_at)
    VALUES (%(key_hash)s, %(request_hash)s, %(status)s, %(sealed)s, %(kept_at)s)
"""
# A refusal is kept after its transaction: what was carried out under the key meanwhile wins.
_KEEP_REFUSAL = _INSERT + "ON CONFLICT (key_hash) DO NOTHING RETURNING 1"
_KEEP = (
    _INSERT
    + """
    ON CONFLICT (key_hash) DO UPDATE SET request_hash = EXCLUDED.request_hash,
        status = EXCLUDED.status, sealed = EXCLUDED.sealed, kept_at = EXCLUDED.kept_at
    RETURNING 1
"""
)


class _Seal:
    """What is made of an account, a key and a request: the row's name, and what opens it."""

    def __init__(self, account_id: UUID, key: str, content: bytes) -> None:
        whole = account_id.bytes + key.encode()
        self.name = sha256(b"the name of " + whole).digest()
        self.lock = int.from_bytes(self.name[:8], "big", signed=True)
        self._pad = sha256(b"the seal of " + whole).digest()
        self.request = blake2b(content, key=self._pad, digest_size=32).digest()

    def closed(self, answer: Response, at: datetime) -> dict[str, Any]:
        """Write an answer as the row that keeps it."""
        headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.raw_headers
        ]
        plain = compress(orjson.dumps(headers) + b"\n" + bytes(answer.body), 1)
        nonce = token_bytes(_NONCE)
        sealed = nonce + ChaCha20Poly1305(self._pad).encrypt(nonce, plain, None)
        return {
            "key_hash": self.name,
            "request_hash": self.request,
            "status": answer.status_code,
            "sealed": sealed,
            "kept_at": at,
        }

    def opened(self, status: int, sealed: bytes) -> Response:
        """Read the answer that was kept."""
        nonce, rest = sealed[:_NONCE], sealed[_NONCE:]
        plain = decompress(ChaCha20Poly1305(self._pad).decrypt(nonce, rest, None))
        headers, _, body = plain.partition(b"\n")
        answer = Response(body, status_code=status)
        answer.raw_headers = [
            *(
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in orjson.loads(headers)
            ),
            (REPLAYED.encode(), b"true"),
        ]
        return answer


# Few enough rows a time that a deletion holds no lock for long.
_AT_ONCE = 10_000
# Materialized: a plan may run a subquery once for each row, and each run finds as many again.
_FORGET = """
    WITH old AS MATERIALIZED (
        SELECT key_hash FROM kept_answer WHERE kept_at < %(before)s
        ORDER BY kept_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM kept_answer k USING old WHERE k.key_hash = old.key_hash
    RETURNING 1
"""


async def forget_kept(database: Database, days: float, now: datetime) -> int:
    """Delete the answers that were kept for so many days; returns how many there were."""
    before, forgotten = now - timedelta(days=days), 0
    while True:
        async with database.begin() as tx:
            gone = await fetched(tx, _FORGET, {"before": before, "most": _AT_ONCE})
        forgotten += len(gone)
        if len(gone) < _AT_ONCE:
            return forgotten
