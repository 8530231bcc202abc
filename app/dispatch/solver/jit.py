"""Compiling with numba: a decorator with types, and a cache on disk wherever it is installed."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numba.core.config

COMPILED = ("jit", "layout", "chance", "timing", "places", "tearing", "kernel")
"""The files whose text is in the machine code."""

F = TypeVar("F", bound=Callable[..., object])


def cache_folder() -> Path:
    """Where machine code is kept: by NUMBA_CACHE_DIR, else beside the source, else (a read-only
    installation) in the temporary folder.

    The name is of what all compiled sources say: numba itself looks only at the file of the
    function it loads, and would keep what has inlined an older text of another file.
    """
    here = Path(__file__).parent
    texts = [(here / f"{name}.py").read_bytes() for name in COMPILED]
    digest = hashlib.sha256(b"".join(texts))
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        base = Path(given)
    elif os.access(here, os.W_OK):
        base = here / "__pycache__"
    else:
        base = Path(tempfile.gettempdir()) / "yingwei-numba"
    return base / f"solver-{digest.hexdigest()[:12]}"


CACHE = str(cache_folder())
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
CONFIG: Any = numba.core.config


def compiled(function: F) -> F:
    """Compile a function on its first call and keep the machine code on disk.

    It runs without the interpreter's lock, so that other threads go on. It allocates nothing, so
    counting who refers to an array is left out (`_nrt`): counts shared by processors took half of
    the time. Sums are wrapped, divisions unchecked, as in C.
    """
    kept, CONFIG.CACHE_DIR = CONFIG.CACHE_DIR, CACHE
    try:
        return cast(F, numba.njit(cache=True, **OPTIONS)(function))
    finally:
        CONFIG.CACHE_DIR = kept


def inlined(function: F) -> F:
    """Compile a function into each of its callers.

    A call hands over a hundred words, all that describes the arrays; for what is called at every
    place tried that took two thirds of the time.
    """
    return cast(F, numba.njit(forceinline=True, **OPTIONS)(function))
