"""What is freed is given back."""

import platform

import psutil
import pytest

from backend.server.memory import return_freed


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give back by themselves")
def test_freed_memory_goes_back_to_the_system():
    blocks = [bytearray(b"x" * 100_000) for _ in range(2000)]
    # What lies behind it keeps the heap's end where it is.
    kept = blocks.pop()
    blocks.clear()
    before = psutil.Process().memory_info().rss
    return_freed()
    assert before - psutil.Process().memory_info().rss > 100 << 20
    assert kept
