"""FLIP as a loss: the published measure's numbers, with a gradient everywhere."""

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from backend.evaluation.measures import flip_map
from backend.metrics.flip import Flip

flip = Flip()


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32) / 255).movedim(-1, 0)[None]


@pytest.fixture(scope="module")
def picture():
    return cv2.resize(data.astronaut()[:400, 40:440], (128, 128), interpolation=cv2.INTER_AREA)


CHANGES = {
    "nothing": lambda image: image,
    "darker": lambda image: image * 0.7,
    "redder": lambda image: image * [1.0, 0.8, 0.8],
    "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 2),
    "moved": lambda image: np.roll(image, 2, 1),
    "noisy": lambda image: np.clip(image + np.random.default_rng(0).normal(0, 12, image.shape), 0, 255),
    "negative": lambda image: 255 - image,
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_agrees_with_the_published_measure(picture, change):
    changed = CHANGES[change](picture).astype(np.uint8)
    expected = flip_map(changed.astype(np.float32), picture.astype(np.float32))
    found = flip(tensor(changed), tensor(picture))[0, 0].numpy()
    assert np.abs(found - expected).max() < 0.04
    assert np.abs(found - expected).mean() < 0.012


@pytest.mark.parametrize("change", CHANGES)
def test_its_gradient_is_finite_and_leads_to_the_true_picture(picture, change):
    truth, changed = tensor(picture), tensor(CHANGES[change](picture).astype(np.uint8)).requires_grad_(True)
    before = flip(changed, truth).mean()
    before.backward()
    assert changed.grad.isfinite().all()
    towards = (changed.grad * (truth - changed)).sum()
    assert towards <= 0
    if change != "nothing":
        assert towards < 0
