"""A corpus that cannot be used is told plainly, before any training."""

import numpy as np
import pytest
from tiny_corpus import write_tiny_corpus

from backend.people.shards import Identity, load_identities, read_identity, shards, write_identity
from backend.protocol.errors import TurboPortraitError


@pytest.fixture
def corpus(tmp_path):
    write_tiny_corpus(tmp_path, range(3))
    return tmp_path


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_no_corpus(tmp_path, folder):
    with pytest.raises(TurboPortraitError, match="data synthesize") as caught:
        load_identities(tmp_path / folder, held_out=False)
    assert caught.value.code == "bad_corpus"


def truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def garbled(path):
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def without_truth(path):
    arrays = dict(np.load(path))
    del arrays["truth"]
    np.savez(path, **arrays)


def of_another_format(path):
    np.savez(path, **(dict(np.load(path)) | {"format": 99}))


def of_another_size(path):
    arrays = dict(np.load(path))
    np.savez(path, **(arrays | {"truth": arrays["truth"][:, :16, :16]}))


@pytest.mark.parametrize("damage", [truncated, garbled, empty, without_truth, of_another_format, of_another_size])
def test_a_damaged_shard_is_named(corpus, damage):
    damage(corpus / "identity_000001.npz")
    with pytest.raises(TurboPortraitError, match=r"identity_000001\.npz") as caught:
        load_identities(corpus, held_out=False)
    assert caught.value.code == "bad_corpus"


def test_ones_own_identities_can_be_written(corpus):
    known = read_identity(shards(corpus)[0])
    write_identity(corpus, Identity(**(vars(known) | {"seed": 40})))
    again = read_identity(corpus / "identity_000040.npz")
    assert again.seed == 40
    np.testing.assert_array_equal(again.truth, known.truth)


def test_what_does_not_fit_is_not_written(corpus):
    known = read_identity(shards(corpus)[0])
    with pytest.raises(ValueError, match="confidence"):
        write_identity(corpus, Identity(**(vars(known) | {"seed": 40, "confidence": known.confidence[:1]})))
    assert not list(corpus.glob("*40*"))
