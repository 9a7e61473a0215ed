"""The fuzzers' short form."""

from pathlib import Path

import pytest

from . import FUZZERS

LANDED = [fuzzer for fuzzer in FUZZERS if (Path(__file__).parent / f"fuzz_{fuzzer.name}.py").exists()]


@pytest.mark.slow
@pytest.mark.parametrize("fuzzer", LANDED, ids=lambda fuzzer: fuzzer.name)
def test_the_program_stands(fuzzer):
    outcomes = fuzzer.run(fuzzer.short, seed=22)
    assert sum(outcomes.values()) >= fuzzer.short
