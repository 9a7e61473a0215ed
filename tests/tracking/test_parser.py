"""The portrait parser: its answer's form on any picture, the matte's arithmetic, and what a bad picture gets."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.protocol.errors import TurboPortraitError
from backend.tracking import PortraitParser
from backend.tracking.export_parser import WEIGHTS
from backend.tracking.landmarks import FACE_OVAL
from backend.tracking.parser import CLASSES, SIZE, estimate_foreground
from backend.tracking.parser_network import PortraitParserNetwork, load_network, save_network
from backend.tracking.person import find_person
from backend.tracking.photo import Crop


@pytest.fixture(scope="module")
def parser():
    return PortraitParser.shipped()


@settings(max_examples=10, deadline=None)
@given(st.integers(33, 300), st.integers(0, 2**32 - 1), st.floats(0.3, 1.0))
def test_probabilities_and_alpha_are_shares_and_nobody_is_beyond_the_photo(parser, size, seed, kept):
    image = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    valid = np.broadcast_to(np.arange(size)[:, None] < kept * size, (size, size))
    regions = parser.parse(image, valid)
    assert regions.probabilities.shape == (size, size, len(CLASSES))
    np.testing.assert_allclose(regions.probabilities.sum(-1), 1, atol=1e-5)
    assert regions.alpha.min() >= 0
    assert regions.alpha.max() <= 1
    assert (regions.alpha[~valid] == 0).all()
    assert (regions.labels[~valid] == CLASSES.index("background")).all()
    assert regions.foreground.shape == image.shape
    assert regions.foreground.dtype == np.uint8


def test_the_same_picture_gives_the_same_regions(parser):
    image = np.random.default_rng(5).integers(0, 256, (128, 128, 3), np.uint8)
    first, second = parser.parse(image), parser.parse(image)
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    np.testing.assert_array_equal(first.alpha, second.alpha)


def test_what_lies_beyond_the_photo_is_not_looked_at(parser):
    rng = np.random.default_rng(6)
    image, other = rng.integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    valid = np.zeros((SIZE, SIZE), bool)
    valid[:160] = True
    changed = np.where(valid[..., None], image, other)
    np.testing.assert_array_equal(parser.parse(image, valid).probabilities, parser.parse(changed, valid).probabilities)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_the_foreground_is_the_mixed_colour_without_what_shines_through(seed):
    rng = np.random.default_rng(seed)
    person, behind = rng.integers(0, 256, (2, 3))
    alpha = cv2.GaussianBlur((np.mgrid[:96, :96][1] < 48).astype(np.float32), (0, 0), 6)
    image = np.rint(person * alpha[..., None] + behind * (1 - alpha[..., None])).astype(np.uint8)
    found = estimate_foreground(image, alpha).astype(float)
    seen = alpha > 0.1
    assert np.abs(found - person)[seen].mean() < max(4.0, 0.3 * np.abs(image - person.astype(float))[seen].mean())


def test_weights_survive_a_file_of_half_floats(tmp_path):
    torch.manual_seed(0)
    network = PortraitParserNetwork().eval()
    save_network(network, tmp_path / "parser.safetensors")
    again = load_network(tmp_path / "parser.safetensors").eval()
    image, valid = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(again(image, valid), network(image, valid), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_weights_that_cannot_be_used_are_named(tmp_path, damage):
    path = tmp_path / "mine.safetensors"
    if damage != "missing":
        widths = (8, 16, 16, 16) if damage == "other" else (64, 112, 160, 224)
        save_network(PortraitParserNetwork(widths), path)
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TurboPortraitError, match=r"mine\.safetensors") as error:
        load_network(path)
    assert error.value.code == "bad_weights"


def _face_at(size: int) -> np.ndarray:
    """Landmarks whose oval is an ellipse in a crop's middle."""
    landmarks = np.full((478, 3), size / 2, np.float32)
    angle = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    landmarks[list(FACE_OVAL), 0] = size * (0.5 + 0.15 * np.sin(angle))
    landmarks[list(FACE_OVAL), 1] = size * (0.48 - 0.2 * np.cos(angle))
    return landmarks


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_face_with_nobody_around_it_is_still_seen_with_a_warning(level):
    size = 128
    image = np.full((size, size, 3), level, np.uint8)
    crop = Crop(image, np.ones((size, size), bool), np.eye(2, 3))
    regions, warnings = find_person(crop, _face_at(size))
    assert regions.alpha[size // 2, size // 2] > 0.7
    assert regions.labels[size // 2, size // 2] != CLASSES.index("background")
    assert "monochrome" in dict(warnings)


def test_a_face_wholly_beyond_the_photo_raises_nothing():
    crop = Crop(np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), bool), np.eye(2, 3))
    regions, _ = find_person(crop, _face_at(64))
    assert (regions.alpha == 0).all()


def test_the_network_that_ships_is_that_of_the_weights_beside_it(parser):
    network = load_network(WEIGHTS).eval()
    rng = np.random.default_rng(8)
    image = rng.random((1, 3, SIZE, SIZE), np.float32)
    valid = np.ones((1, 1, SIZE, SIZE), np.float32)
    valid[..., :60, :] = 0
    found = parser._network(image=image, valid=valid)
    with torch.no_grad():
        logits, alpha = network(torch.from_numpy(image), torch.from_numpy(valid))
    # Its weights are rounded after the normalisation was folded into them.
    np.testing.assert_allclose(found["probabilities"], torch.softmax(logits, 1).numpy(), atol=0.01)
    np.testing.assert_allclose(found["alpha"], torch.sigmoid(alpha).numpy(), atol=0.01)
