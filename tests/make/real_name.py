"""Documents nobody has, and the system that checks them, simulated in this process."""

from base64 import b64encode
from datetime import date

from app.real_name.rules import HashKeys, check_character

HASH_KEYS = f"k1:{b64encode(b'1' * 32).decode()}"
NEWER_KEYS = f"k2:{b64encode(b'2' * 32).decode()},{HASH_KEYS}"


def hash_keys(text: str = HASH_KEYS) -> HashKeys:
    """Read keys that are there."""
    keys = HashKeys.read(text)
    assert keys is not None
    return keys


def resident_id(born: date = date(1985, 7, 14), nth: int = 17, region: str = "430102") -> str:
    """Write the number of somebody who was born that day."""
    seventeen = f"{region}{born:%Y%m%d}{nth:03}"
    return seventeen + check_character(seventeen)
