"""The fuzzers' short form."""

import pytest

from . import FUZZERS


@pytest.mark.slow
@pytest.mark.parametrize("fuzzer", FUZZERS, ids=lambda fuzzer: fuzzer.name)
def test_the_program_stands(fuzzer):
    outcomes = fuzzer.run(fuzzer.short, seed=22)
    assert sum(outcomes.values()) >= fuzzer.short
