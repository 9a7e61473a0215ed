"""The multi-step baseline: with one step it is the refiner."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

import numpy as np
import pytest
from tiny_corpus import write_tiny_corpus

from backend.evaluation.multistep import refine_in_steps
from backend.evaluation.views import view_of
from backend.people.shards import read_identity, shards
from backend.refiner import Refiner


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """compact, and an identity of its size."""
    folder = tmp_path_factory.mktemp("corpus")
    write_tiny_corpus(folder, range(7, 8), size=256)
    identity = read_identity(shards(folder)[0])
    refiner = Refiner.from_preset("compact")
    return refiner, [view_of(identity, 1), view_of(identity, 2)], refiner.encode_reference(identity.reference)


def test_one_step_is_the_refiner_itself(scene):
    refiner, views, reference = scene
    once = refine_in_steps(refiner, views, reference, 1, seed=3)
    refined = refiner.refine(views, reference, seed=3)
    assert (np.stack(refined) != np.stack([view.rgba[..., :3] for view in views])).any()
    difference = np.abs(np.stack(once).astype(int) - np.stack(refined))
    assert difference.max() <= 1


def test_more_steps_are_other_pictures_and_repeat(scene):
    refiner, views, reference = scene
    once, thrice, again = (refine_in_steps(refiner, views, reference, steps, 0.5, 3) for steps in (1, 3, 3))
    assert (np.stack(thrice) == np.stack(again)).all()
    assert (np.stack(once) != np.stack(thrice)).any()
