"""The GPU's search for nearest points, checked without a GPU: interpreted, and compiled for one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="the package triton is not installed"),
]


def run(script: str, **environment: str) -> str:
    path = Path(__file__).with_name(script)
    result = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_kernel_finds_what_brute_force_finds():
    import torch

    interpreted = {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}
    assert "exact" in run("search_on_a_gpu.py", **interpreted)


def test_the_kernel_compiles_for_an_h100(tmp_path):
    assert "compiled" in run("compile_for_a_gpu.py", TRITON_CACHE_DIR=str(tmp_path))
