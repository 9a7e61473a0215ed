"""Samples of the parser's training: a picture seen as a user's crop might be, with its labels and its matte."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from backend.people.parsing.backgrounds import draw_background
from backend.people.parsing.crops import ParsingSample, labelled, over, placed, warped
from backend.people.parsing.pictures import LabelledPicture
from backend.tracking.parser import CLASSES
from backend.tracking.parser import SIZE as CROP_SIZE
from backend.training.parser.config import AugmentationConfig
from backend.training.parser.headwear import put_on_headwear
from backend.training.parser.spectacles import put_on_spectacles

LARGEST_TURN = 40.0
HAIR, HEADWEAR, CLOTHING, EYEWEAR = (CLASSES.index(name) for name in ("hair", "headwear", "clothing", "eyewear"))


@dataclass(frozen=True)
class ParserBatch:
    """Samples as tensors.

    Attributes:
        image: (B, 3, C, C) in [0, 1]. valid, alpha: (B, 1, C, C). labels: (B, C, C) int64.
    """

    image: Tensor
    valid: Tensor
    labels: Tensor
    alpha: Tensor

    @classmethod
    def of(cls, samples: Sequence[ParsingSample]) -> ParserBatch:
        """Put samples together."""
        image = torch.from_numpy(np.stack([s.image for s in samples])).permute(0, 3, 1, 2).float() / 255
        return cls(
            image.contiguous(memory_format=torch.channels_last),
            torch.from_numpy(np.stack([s.valid for s in samples])[:, None]).float(),
            torch.from_numpy(np.stack([s.labels for s in samples])).long(),
            torch.from_numpy(np.stack([s.alpha for s in samples])[:, None]).float(),
        )


def draw_sample(
    picture: LabelledPicture,
    others: Sequence[LabelledPicture],
    config: AugmentationConfig,
    size: int,
    rng: np.random.Generator,
) -> ParsingSample:
    """A picture changed by chance, size x size pixels; the others lend it what is behind them."""
    if EYEWEAR not in picture.labels and rng.random() < config.spectacles:
        picture = put_on_spectacles(picture, rng)
    if HEADWEAR not in picture.labels and rng.random() < config.headwear:
        picture = put_on_headwear(picture, rng)
    turn = np.clip(rng.normal(0, config.turned), -LARGEST_TURN, LARGEST_TURN)
    scale, shift = rng.uniform(1 - config.scaled, 1 + config.scaled), rng.uniform(-1, 1, 2) * config.shifted
    matrix = placed(turn, scale, shift, size)
    if rng.random() < 0.5:
        matrix[0] = -matrix[0]
        matrix[0, 2] += size - 1
    image, foreground, alpha, labels, valid = warped(picture, matrix, size)
    if rng.random() < config.dyed:
        image, foreground = _dyed(image, foreground, alpha, labels, rng)
    if rng.random() < config.replaced:
        lit = _graded(foreground, rng, 0.5)
        image = over(lit, alpha, _background(others, size, rng))
    if rng.random() < config.occluded:
        image, labels, alpha = _occluded(image, labels, alpha, rng)
    if rng.random() < config.cut:
        valid = valid & _photo_edge(size, rng)
    return labelled(_developed(image, config, rng), valid, labels, alpha, foreground)


def _dyed(
    image: np.ndarray, foreground: np.ndarray, alpha: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Picture and foreground with hair, headwear and clothing of other colours, so that texture and place tell them."""
    light = cv2.cvtColor(foreground, cv2.COLOR_RGB2GRAY).astype(np.float32)
    dyed = foreground.astype(np.float32)
    for region in (HAIR, HEADWEAR, CLOTHING):
        inside = labels == region
        if not inside.any() or rng.random() < 0.5:
            continue
        # Hair is grey, brown, red or fair; cloth may be anything.
        tint = np.r_[1, rng.uniform(0.6, 1), rng.uniform(0.3, 1)] if region == HAIR else rng.uniform(0.2, 1, 3)
        color = rng.uniform(12, 230) * tint * np.clip(light / (light[inside].mean() + 4), 0, 2.5)[..., None]
        cover = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 1)[..., None]
        dyed += (color - dyed) * cover
    whole = image + (dyed - foreground) * alpha[..., None]
    return _bytes(whole), _bytes(dyed)


def _bytes(colors: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(colors), 0, 255).astype(np.uint8)


def _background(others: Sequence[LabelledPicture], size: int, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.6:
        return draw_background(rng, size)
    # A true room or street, without its person: the place is filled from around.
    other = others[rng.integers(len(others))]
    small = (size // 4, size // 4)
    seen = cv2.resize((other.alpha < 8).astype(np.float32) * other.valid, small, interpolation=cv2.INTER_AREA)
    low = cv2.resize(other.image, small, interpolation=cv2.INTER_AREA) * seen[..., None]
    around = cv2.GaussianBlur(low, (0, 0), 6) / (cv2.GaussianBlur(seen, (0, 0), 6)[..., None] + 1e-3)
    around = cv2.resize(np.clip(around, 0, 255), (size, size), interpolation=cv2.INTER_LINEAR)
    full = cv2.resize(other.image, (size, size), interpolation=cv2.INTER_AREA)
    shown = cv2.resize(seen, (size, size), interpolation=cv2.INTER_LINEAR)
    image = over(full, shown, around)
    return image[:, ::-1] if rng.random() < 0.5 else image


def _occluded(
    image: np.ndarray, labels: np.ndarray, alpha: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Something with a smooth outline before the person: it is background."""
    size = len(image)
    centre, radius = rng.uniform(0.1, 0.9, 2) * size, rng.uniform(0.05, 0.2) * size
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radii = radius * (1 + 0.5 * np.sin(np.outer(angles, [1, 2, 3]) + rng.uniform(0, 6, 3)) @ rng.uniform(0, 0.5, 3))
    outline = centre + radii[:, None] * np.c_[np.cos(angles), rng.uniform(0.4, 2) * np.sin(angles)]
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], (255,), cv2.LINE_AA)
    cover = mask.astype(np.float32) / 255
    labels = np.where(mask > 127, np.uint8(CLASSES.index("background")), labels)
    return over(draw_background(rng, size), cover, image), labels, alpha * (1 - cover)


def _photo_edge(size: int, rng: np.random.Generator) -> np.ndarray:
    """(C, C) bool: one or two of the photo's edges lie inside the crop, below and at the sides mostly."""
    valid = np.ones((size, size), bool)
    for side in rng.choice(4, rng.integers(1, 3), replace=False, p=[0.45, 0.2, 0.2, 0.15]):
        lines = np.rot90(valid, side)
        lines[int(size * rng.uniform(0.68, 1.0)) :] = False
    return valid


def _graded(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Another exposure, tint, contrast and saturation."""
    pixels = image.astype(np.float32) / 255
    pixels = pixels ** np.exp(rng.normal(0, 0.35) * strength)
    pixels *= np.exp(rng.normal(0, 0.2) * strength + rng.normal(0, 0.12, 3) * strength).astype(np.float32)
    mean, grey = pixels.mean(), pixels.mean(-1, keepdims=True)
    pixels = grey + (pixels - grey) * np.exp(rng.normal(0, 0.4) * strength)
    pixels = mean + (pixels - mean) * np.exp(rng.normal(0, 0.25) * strength)
    return np.clip(255 * pixels, 0, 255).astype(np.uint8)


def _developed(image: np.ndarray, config: AugmentationConfig, rng: np.random.Generator) -> np.ndarray:
    """What a camera, a filter and a file make of the whole picture."""
    image = _graded(image, rng, 1.0)
    if rng.random() < config.monochrome:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    if rng.random() < config.blurred:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.8) * len(image) / CROP_SIZE)
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(1, 10), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < config.compressed:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=int(rng.integers(25, 95)))
        image = np.asarray(Image.open(buffer))
    return image
