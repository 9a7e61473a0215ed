"""Memory that was freed goes back to the system: glibc keeps it, and a registration frees a quarter of a backend's."""

from __future__ import annotations

import ctypes
import sys
from functools import cache


def return_freed() -> None:
    """Give back what glibc keeps of freed memory (`malloc_trim(3)`); other C libraries do so by themselves."""
    if trim := _trim():
        trim(0)


@cache
def _trim():
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
