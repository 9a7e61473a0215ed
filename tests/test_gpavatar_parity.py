"""The published network's vectors, by the program that anyone can run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("parity_gpavatar.py")
VECTORS = PROGRAM.parent.parent.parent / "shared" / "vectors" / "gpavatar"


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.skipif(not VECTORS.is_dir(), reason="the vectors' folder ../shared/vectors/gpavatar is not here")
def test_the_published_vectors_are_met():
    result = run(str(VECTORS), "public:")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "BEYOND" not in result.stdout
    assert len(result.stdout.splitlines()) == 11


@pytest.mark.slow
@pytest.mark.skipif(not VECTORS.is_dir(), reason="the vectors' folder ../shared/vectors/gpavatar is not here")
def test_other_weights_do_not_meet_them():
    result = run(str(VECTORS), "another:")
    assert result.returncode == 1, result.stdout + result.stderr
    assert result.stdout.count("BEYOND") == 11


def test_a_folder_without_vectors_is_refused(tmp_path):
    result = run(str(tmp_path), "public:")
    assert result.returncode != 0
    assert "DIR SALT" in result.stderr
