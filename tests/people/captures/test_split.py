"""No person is in both halves of a split, whatever else there is."""

import json
from collections import defaultdict
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.people import shards
from backend.people.captures.convert import Ledger
from backend.people.captures.split import AVA256_HELD_OUT, is_held_out
from backend.protocol.errors import TurboPortraitError

SOURCES = st.sampled_from(["nersemble", "ava256", "panohead"])
PEOPLE = st.sampled_from([*(f"{n:03d}" for n in range(17, 60)), *sorted(AVA256_HELD_OUT)[:4], "AAN112"])
SUBJECTS = st.lists(st.tuples(SOURCES, PEOPLE, st.integers(0, 3).map(str)), max_size=40)


@settings(max_examples=40, deadline=None)
@given(subjects=SUBJECTS, later=SUBJECTS)
def test_no_identity_is_trained_on_and_held_out(tmp_path_factory, subjects, later):
    """By the numbers that training and evaluation split by, over several runs into one folder."""
    folder = tmp_path_factory.mktemp("shards")
    numbers = {}
    for run in (subjects, later, subjects):
        ledger = Ledger(folder)
        for key in run:
            seed = ledger.number(SimpleNamespace(source=key[0], identity=key[1], moment=key[2]))
            assert numbers.setdefault(key, seed) == seed
    assert len(set(numbers.values())) == len(numbers)
    halves = defaultdict(set)
    for (source, identity, _), seed in numbers.items():
        halves[source, identity].add(shards.is_held_out(seed))
    for (source, identity), found in halves.items():
        assert found == {is_held_out(source, identity)}


def test_the_held_out_are_the_published_ones_and_as_many_as_the_papers():
    assert len(AVA256_HELD_OUT) == 16
    assert is_held_out("ava256", "bdf920")
    assert not is_held_out("ava256", "AAN112")
    people = [f"{number:03d}" for number in range(17, 17 + 387)]
    held_out = [person for person in people if is_held_out("nersemble", person)]
    # Figures rest on this list: it must never change.
    assert " ".join(held_out) == (
        "021 034 043 044 045 067 087 088 128 144 148 154 166 184 189 240 253 262 275 300 318 330 341 342 354 377 391 "
        "392 399"
    )


def test_a_ledger_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "subjects.jsonl").write_text(json.dumps({"seed": 1}) + "\n")
    with pytest.raises(TurboPortraitError) as caught:
        Ledger(tmp_path)
    assert caught.value.code == "bad_corpus"
