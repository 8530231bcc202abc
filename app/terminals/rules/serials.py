"""Serial numbers as they are scanned and typed: one device is written in one way."""

import re
import unicodedata

from app.core.cells import NotReadable
from app.core.i18n import Words

# What stands before the number on labels and in the text of barcodes. A sign has to follow: a
# number may itself begin with SN.
_LABEL = re.compile(
    r"^(?:(?:G?PON\s*)?S\s*/?\s*N|SERIAL(?:\s*(?:NO\.?|NUMBER))?|序列号|串号|串码)\s*[:=]\s*"
)
_SERIAL = re.compile(r"[\w.\-:/]{1,64}")


def serial_number(scanned: str) -> str:
    """Write a scanned or typed serial number as it is stored.

    Full-width signs become plain ones, letters capital; blanks and what a label says before the
    number are left out. Raises NotReadable when no serial number is left.
    """
    plain = unicodedata.normalize("NFKC", scanned).strip().upper()
    number = re.sub(r"\s+", "", _LABEL.sub("", plain))
    if not _SERIAL.fullmatch(number):
        raise NotReadable(
            Words(
                zh="串号只能含字母、数字和 _.-:/，最多 64 个字符",
                en="a serial number has letters, digits and _ . - : /, at most 64",
            )
        )
    return number
