"""Pictures by their content: what is refused of them, what is read out of them, what is kept."""

import zlib
from io import BytesIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from app.evidence.pictures import inspect, look_at, without_metadata
from app.evidence.rules import Limits, PictureFault, PictureRefused, marks_of
from tests.make.evidence import AT_THE_DOOR, exif_of, moment, photo, signature

PHOTO = Limits(least_side=320, most_side=None, most_pixels=2_000_000, least_ink_percent=None)
SIGNATURE = Limits(least_side=40, most_side=600, most_pixels=2_000_000, least_ink_percent=0.1)


def bomb() -> bytes:
    """A PNG of some bytes that says it has 30,000 times 30,000 pixels."""
    small = BytesIO()
    Image.new("1", (10, 10)).save(small, "PNG")
    head = bytearray(small.getvalue())
    head[16:24] = (30_000).to_bytes(4, "big") * 2
    head[29:33] = zlib.crc32(head[12:29]).to_bytes(4, "big")
    return bytes(head)


def grey16() -> bytes:
    written = BytesIO()
    Image.new("I;16", (400, 400)).save(written, "PNG")
    return written.getvalue()


JPEG = photo()
TELLING = photo(exif=AT_THE_DOOR)


@pytest.mark.parametrize(
    ("data", "limits", "fault"),
    [
        (b"", PHOTO, PictureFault.NOT_A_PICTURE),
        (b"1. Contents\n2. More contents\n" * 50, PHOTO, PictureFault.NOT_A_PICTURE),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", PHOTO, PictureFault.NOT_A_PICTURE),
        (b"%PDF-1.7 " + JPEG, PHOTO, PictureFault.NOT_A_PICTURE),
        (b"\x00\x00\x00\x18ftypheic" + bytes(200), PHOTO, PictureFault.NOT_A_PICTURE),
        (photo(kind="GIF"), PHOTO, PictureFault.NOT_A_PICTURE),
        (photo(kind="TIFF"), PHOTO, PictureFault.NOT_A_PICTURE),
        (grey16(), PHOTO, PictureFault.NOT_A_PICTURE),
        (JPEG[:-40], PHOTO, PictureFault.DAMAGED),
        (JPEG[:200], PHOTO, None),  # whichever of the two the decoder finds first
        (photo(kind="PNG")[:-100], PHOTO, PictureFault.DAMAGED),
        (photo(kind="WEBP")[:-100], PHOTO, PictureFault.DAMAGED),
        (bomb(), PHOTO, PictureFault.TOO_LARGE),
        (photo(1600, 1300), PHOTO, PictureFault.TOO_LARGE),
        (photo(600, 319), PHOTO, PictureFault.TOO_SMALL),
        (signature(strokes=False), SIGNATURE, PictureFault.BLANK),
        (photo(700, 200), SIGNATURE, PictureFault.TOO_LARGE),
        (photo(700, 30), PHOTO, PictureFault.TOO_SMALL),
    ],
)
def test_what_is_refused(data, limits, fault):
    with pytest.raises(PictureRefused) as refused:
        inspect(data, limits)
    assert fault is None or refused.value.facts["fault"] == fault.value
    assert refused.value.detail("zh") != refused.value.detail("en")


@pytest.mark.parametrize(
    ("data", "limits", "found"),
    [
        (JPEG, PHOTO, ("image/jpeg", 480, 360)),
        (photo(320, 320), PHOTO, ("image/jpeg", 320, 320)),
        (photo(kind="PNG"), PHOTO, ("image/png", 480, 360)),
        (photo(kind="WEBP"), PHOTO, ("image/webp", 480, 360)),
        (photo(kind="MPO"), PHOTO, ("image/jpeg", 480, 360)),
        (signature(), SIGNATURE, ("image/png", 400, 160)),
    ],
)
def test_what_is_taken(data, limits, found):
    assert inspect(data, limits) == found


@example(noise=b"", at=5, byte=17)  # a segment that is said to be longer than it is
@given(st.binary(max_size=300), st.integers(0, len(TELLING) - 1), st.integers(0, 255))
@settings(max_examples=25)
def test_no_bytes_whatever_do_more_than_be_refused(noise, at, byte):
    changed = TELLING[:at] + bytes([byte]) + TELLING[at + 1 :]
    for data in (noise, JPEG[:at] + noise, changed):
        try:
            inspect(data, PHOTO)
            looked = look_at(data, 64)
        except PictureRefused:
            continue
        assert b"telling" not in looked.kept


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_what_is_kept_is_upright_and_tells_nothing_but_the_picture(kind, orientation):
    exif = exif_of(orientation=orientation, taken_at="2026:03:02 08:55:00", point=(112.5, 28.5))
    sent = photo(kind=kind, exif=exif)
    assert b"telling camera" in sent
    looked = look_at(sent, 120)
    assert b"telling" not in looked.kept and b"Exif" not in looked.kept
    kept, small = Image.open(BytesIO(looked.kept)), Image.open(BytesIO(looked.thumbnail))
    assert not kept.getexif() and not small.getexif()
    upright = (480, 360) if orientation == 1 else (360, 480)
    assert kept.size == upright == (looked.width, looked.height)
    assert small.format == "WEBP" and max(small.size) == 120
    assert looked.point == pytest.approx((112.5, 28.5), abs=1e-6)
    assert str(looked.taken_at) == "2026-03-02 08:55:00"


def test_a_photos_own_time_has_the_zone_it_names():
    assert look_at(TELLING, 64).taken_at == moment("08:55")
    west = exif_of(taken_at="2026:03:02 08:55:00", offset="-03:30", point=(-70.5, -33.5))
    looked = look_at(photo(exif=west), 64)
    assert str(looked.taken_at) == "2026-03-02 08:55:00-03:30"
    assert looked.point == pytest.approx((-70.5, -33.5), abs=1e-6)


@pytest.mark.parametrize(
    "exif",
    [
        exif_of(),
        exif_of(taken_at="0000:00:00 00:00:00", point=(0.0, 0.0)),
        exif_of(taken_at="yesterday", point=(181.0, 10.0)),
    ],
)
def test_metadata_that_says_nothing(exif):
    looked = look_at(photo(exif=exif), 64)
    assert (looked.taken_at, looked.point) == (None, None)


def test_a_jpegs_pixels_stay_as_they_are_and_what_follows_its_end_goes():
    sent = photo(exif=exif_of(), quality=90, progressive=True, icc_profile=b"profile" * 20)
    kept = without_metadata(sent + b"and a film of the living room")
    assert kept.endswith(b"\xff\xd9") and b"film" not in kept
    one, other = (Image.open(BytesIO(each)) for each in (sent, kept))
    assert one.tobytes() == other.tobytes()
    assert other.info["icc_profile"] == b"profile" * 20


MINUTES_10, FAR_M = 10, 500.0


@pytest.mark.parametrize(
    ("distance_m", "taken", "marks"),
    [
        (None, None, (None, None)),
        (500.0, "08:50", (False, False)),
        (500.1, "08:49", (True, True)),
        (0.0, "10:00", (False, False)),
    ],
)
def test_what_is_pointed_out(distance_m, taken, marks):
    assert marks == marks_of(
        distance_m=distance_m,
        taken_at=moment(taken) if taken else None,
        since=moment("09:00"),
        far_m=FAR_M,
        old_minutes=MINUTES_10,
    )
