"""Uploads: when evidence may be announced, what the tus protocol says, and what is refused.

The protocol is tus 1.0 (tus.io), so that the libraries there are for phones work unchanged.
"""

import base64
import binascii
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, Invalid, Malformed, Problem
from app.core.i18n import Words
from app.workorders.rules import HELD, State
from app.worktypes.rules import EvidenceKind, Template

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "termination", "checksum", "expiration")
ALGORITHMS = ("sha1", "sha256")

# Evidence that the template does not ask for, and that shall be kept all the same.
OTHER = "other"


class UploadState(StrEnum):
    """Where a piece of evidence stands."""

    ANNOUNCED = "announced"  # its bytes are awaited
    STORED = "stored"
    REFUSED = "refused"  # its content is not what it should be; nothing of it is kept
    EXPIRED = "expired"  # its bytes did not come in time; announcing it again goes on
    WITHDRAWN = "withdrawn"


AWAITED = frozenset({UploadState.ANNOUNCED, UploadState.EXPIRED})


class Announcement(NamedTuple):
    """What a phone says before it sends a picture; `point` is in WGS-84 degrees, longitude first.

    `sha256` is that of the whole content, in hexadecimal.
    """

    id: UUID | None
    work_order_id: UUID
    visit_id: UUID | None
    requirement: str
    kind: EvidenceKind
    sha256: str
    bytes: int
    filename: str | None
    taken_at: datetime | None
    point: tuple[float, float] | None
    upload_metadata: str


# --- refusals -------------------------------------------------------------------------------------


class VersionNotSpoken(Problem):
    slug, status = "tus-version", 412
    title = Words(zh="不支持的 tus 协议版本", en="This version of tus is not spoken here")
    advice = Words(
        zh="请发送 Tus-Resumable: {version}。", en="Send the header Tus-Resumable: {version}."
    )


class WrongContentType(Problem):
    slug, status = "wrong-content-type", 415
    title = Words(zh="内容类型不正确", en="Not the right type of content")
    advice = Words(zh="请使用 {wanted}。", en="Send it as {wanted}.")


class OffsetDiffers(Conflict):
    slug = "upload-offset-differs"
    title = Words(zh="上传位置不一致", en="The upload stands elsewhere")
    advice = Words(
        zh="服务器已有 {offset} 字节；请先 HEAD，再从该位置继续。",
        en="The server has {offset} bytes: ask with HEAD and go on from there.",
    )


class ChecksumDiffers(Problem):
    slug, status = "upload-checksum-differs", 460
    title = Words(zh="分片校验不一致", en="The piece's checksum differs")
    advice = Words(
        zh="本次发送的内容已丢弃；请从 {offset} 字节处重新发送。",
        en="What was sent was dropped; send it again from byte {offset}.",
    )


class UploadGone(Problem):
    slug, status = "upload-gone", 410
    title = Words(zh="该上传已不存在", en="This upload is no more")
    advice = Words(
        zh="上传状态为 {state}：expired 可用同一编号重新创建，其余请用新编号重新拍摄上传。",
        en="It is {state}: one that is expired can be created again under its id, anything else "
        "needs a new id.",
    )


class EvidenceClosed(Conflict):
    slug = "evidence-closed"
    title = Words(zh="工单现在不能增删凭证", en="Evidence of this order cannot be changed now")
    advice = Words(
        zh="工单状态为 {state}：接单后至竣工后 {grace_hours} 小时内可补传，竣工后不可删除。",
        en="The order is {state}: evidence is taken from acknowledging until {grace_hours} hours "
        "after completing, and none is deleted once it is completed.",
    )


class TooMuchEvidence(Conflict):
    slug = "too-much-evidence"
    title = Words(zh="凭证数量已达上限", en="This order has enough evidence")
    advice = Words(
        zh="每张工单最多 {most} 份；请先删除不需要的。",
        en="An order may have {most} files; delete one that is not needed.",
    )


class NotReady(Conflict):
    slug = "evidence-not-ready"
    title = Words(zh="图片尚未就绪", en="The picture is not ready yet")
    advice = Words(
        zh="状态为 {state}；传完后几秒内会去除位置信息并生成缩略图，请稍后再试。",
        en="It is {state}; some seconds after its last byte its position is taken out of it and a "
        "thumbnail made. Ask again then.",
    )


class EvidenceForgotten(Problem):
    slug, status = "evidence-forgotten", 410
    title = Words(zh="图片已按期清除", en="The picture is forgotten by now")
    advice = Words(
        zh="已于 {forgotten_at} 按保留期限清除，仅保留记录。",
        en="It was forgotten at {forgotten_at}, as its time was over; only the record is left.",
    )


class StorageFull(Problem):
    slug, status = "storage-full", 507
    title = Words(zh="存储空间不足", en="There is no room left to store it")
    advice = Words(
        zh="本片未保存，已上传部分仍在；请在 {retry_after} 秒后继续。",
        en="This piece was not kept, what came before it was; go on in {retry_after} seconds.",
    )


# --- when -----------------------------------------------------------------------------------------

# Until it is acknowledged, nobody is at work on an order.
TAKEN_ON = HELD - {State.ASSIGNED}
COMPLETED = frozenset({State.COMPLETED, State.ARCHIVED})


def is_open(state: State, completed_at: datetime | None, now: datetime, grace_hours: float) -> bool:
    """Tell whether whoever holds an order may add to its evidence, or see it."""
    if state in TAKEN_ON:
        return True
    return (
        state in COMPLETED
        and completed_at is not None
        and now <= completed_at + timedelta(hours=grace_hours)
    )


def check_requirement(template: Template, requirement: str, kind: EvidenceKind) -> None:
    """Check that a template asks for evidence of this code and kind, or that it is `other`.

    Raises Invalid with the codes there are.
    """
    known = {one.code for one in template.evidence if one.kind is kind}
    if requirement != OTHER and requirement not in known:
        named = ", ".join([*sorted(known), OTHER])
        message = f"a {kind.value} for this order is one of: {named}"
        raise Invalid(errors=[{"field": "requirement", "message": message}])


# --- what the protocol says -----------------------------------------------------------------------


def metadata_of(header: str) -> dict[str, str]:
    """Read the header Upload-Metadata: names with values in base64. Raises Malformed."""
    read: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        name, _, value = pair.partition(" ")
        try:
            text = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise Malformed(reason=f"Upload-Metadata: {name} is not text in base64") from error
        if name in read or "\x00" in text:
            raise Malformed(reason=f"Upload-Metadata: {name} is there twice, or holds NUL")
        read[name] = text
    return read


class Checksum(NamedTuple):
    """What the bytes of one request must come to."""

    algorithm: str
    digest: bytes


def checksum_of(header: str) -> Checksum:
    """Read the header Upload-Checksum: an algorithm and a digest in base64. Raises Malformed."""
    algorithm, _, value = header.partition(" ")
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(reason="Upload-Checksum: the digest is not base64") from error
    if algorithm not in ALGORITHMS:
        raise Malformed(reason=f"Upload-Checksum: one of {', '.join(ALGORITHMS)}")
    return Checksum(algorithm, digest)
