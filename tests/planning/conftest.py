"""The kernel's machine code is kept between runs of the tests, and made for no test twice."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".local" / "numba"))
