"""Training samples: identities with colours changed, mirrored, cropped, and with parts of the raw views taken away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from backend.people.shards import Identity
from backend.protocol.errors import TurboPortraitError
from backend.refiner.network.diffusion import NOISE_LEVELS
from backend.refiner.network.images import NetworkViews
from backend.training.config import SampleConfig
from backend.training.decals import Decals
from backend.training.garments import Garment
from backend.training.halos import FILLED, Halo
from backend.training.paint_layers import as_bytes, overlaid
from backend.training.projection_smears import add_smears


@dataclass(frozen=True)
class Batch:
    """A batch of samples.

    Attributes:
        views: (B, V, ...); reference: (B, ...).
        truth: (B, V, 3, H, W) over grey; the raw view's own colours where nothing is to be changed.
        weight: (B, V, 1, H, W), zero where the loss does not look: outside either alpha; outside head and neck, unless
            what is there is to be kept.
        turned: (B, V), radians off the portrait's view.
        noise_level: (B,).
        noise_seed: decides the noise of all samples.
    """

    views: NetworkViews
    reference: NetworkViews
    truth: torch.Tensor
    weight: torch.Tensor
    turned: torch.Tensor
    noise_level: torch.Tensor
    noise_seed: int

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        views, reference = (x.map(lambda part: part.to(device)) for x in (self.views, self.reference))
        tensors: dict[str, Any] = {name: value for name, value in vars(self).items() if isinstance(value, torch.Tensor)}
        moved = {name: value.to(device) for name, value in tensors.items()}
        return replace(self, views=views, reference=reference, **moved)


def check_samples(identities: list[Identity], config: SampleConfig) -> None:
    """Whether such samples can be drawn.

    Raises:
        TurboPortraitError: `bad_training_config`: an identity has too few views, or too small ones.
    """
    for identity in identities:
        count, size = identity.raw.shape[:2]
        if config.views >= count or config.crop > size:
            raise TurboPortraitError(
                "bad_training_config",
                f"identity {identity.seed} has {count} views of {size} pixels, its portrait's among them; "
                f"views = {config.views} and crop = {config.crop} ask for more",
            )


def draw_batch(identities: list[Identity], config: SampleConfig, size: int, rng: np.random.Generator) -> Batch:
    """Draw samples of any identities; the generator alone decides which."""
    return draw_samples([identities[rng.integers(len(identities))] for _ in range(size)], config, rng)


def draw_samples(identities: list[Identity], config: SampleConfig, rng: np.random.Generator) -> Batch:
    """Draw a sample of each identity."""
    samples = [_draw(identity, config, rng) for identity in identities]
    return Batch(
        views=NetworkViews.stack([sample.views for sample in samples]),
        reference=NetworkViews.stack([sample.reference for sample in samples]),
        truth=torch.stack([sample.truth for sample in samples]),
        weight=torch.stack([sample.weight for sample in samples]),
        turned=torch.stack([sample.turned for sample in samples]),
        noise_level=torch.tensor(rng.choice(NOISE_LEVELS, len(samples)), dtype=torch.float32),
        noise_seed=int(rng.integers(2**62)),
    )


class _Sample(NamedTuple):
    """See `Batch`."""

    views: NetworkViews
    reference: NetworkViews
    truth: torch.Tensor
    weight: torch.Tensor
    turned: torch.Tensor


def _draw(identity: Identity, config: SampleConfig, rng: np.random.Generator) -> _Sample:
    # View 0 is the portrait's own.
    chosen = 1 + rng.permutation(len(identity.raw) - 1)[: config.views]
    if rng.random() < config.portrait_view:
        chosen[rng.integers(len(chosen))] = 0
    tone, mirrored = _tone_curve(rng), bool(rng.random() < 0.5)
    worn: list[Garment | Decals] = []
    if rng.random() < config.capped:
        worn.append(Garment.cap(rng))
    if rng.random() < config.collared:
        worn.append(Garment.collar(rng))
    if rng.random() < config.marked:
        worn.append(Decals.draw(identity.place[0], identity.confidence[0] > 127, rng))
    # Not where anything is worn: whether a cap's white side is a rim, nobody could tell.
    halos = [Halo.draw(rng)] if rng.random() < config.rimmed and not worn else []
    filled = rng.uniform(*FILLED)
    smeared = rng.random() < config.smeared
    sides = np.array([-1 if mirrored else 1, 1, 1], np.float32) * (rng.random() >= config.unplaced)

    def cut(image: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
        x, y = corner
        image = image[y : y + config.crop, x : x + config.crop]
        return np.ascontiguousarray(image[:, ::-1] if mirrored else image)

    def located(k: int, corner: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        arrays = (identity.place[k], identity.confidence[k], identity.head[k])
        place, confidence, head = (cut(array, corner) for array in arrays)
        return place, confidence / np.float32(255), head > 127

    def shown(pictures: list[np.ndarray], place: np.ndarray, corner: tuple[int, int]) -> list[np.ndarray]:
        shown = [_toned(cut(picture, corner), tone) for picture in pictures]
        for layers in (thing.layers(place) for thing in worn):
            shown = [overlaid(picture, layers) for picture in shown]
        return shown

    views, truths, weights = [], [], []
    for k in chosen:
        corner = _corner(identity.head[k], config.crop, rng)
        place, confidence, head = located(k, corner)
        whole, truth, warped = shown([x[k] for x in (identity.raw, identity.truth, identity.warped)], place, corner)
        outline = [halo.layer(place, confidence, head) for halo in halos]
        left = float(Halo.left(identity.turned[k]))
        whole, warped = overlaid(whole, outline, max(left, float(filled))), overlaid(warped, outline)
        truth = overlaid(truth, outline, left)
        raw = whole
        if k > 0 and rng.random() < config.dropped:
            raw, warped, confidence = drop_part(raw, warped, confidence, rng)
        if k > 0 and smeared:
            warped = add_smears(warped, confidence, rng)
        view = NetworkViews.of_view(raw, confidence, place * sides, warped)
        inside = head & (raw[..., 3] > 250) & (truth[..., 3] > 250)
        kept = config.kept_weight * (~inside & (whole[..., 3] > 250))
        weight = inside * (1 - (1 - config.sure_weight) * confidence) + kept
        views.append(view)
        truths.append(NetworkViews.of_view(np.where(kept[..., None] > 0, whole, truth), confidence).color)
        weights.append(torch.from_numpy(weight.astype(np.float32))[None])
    corner = _corner(identity.reference[..., 3], config.crop, rng)
    place, confidence, head = located(0, corner)
    (portrait,) = shown([identity.reference], place, corner)
    portrait = overlaid(portrait, [halo.layer(place, confidence, head) for halo in halos])
    reference = NetworkViews.of_portrait(portrait, place * sides)
    turned = torch.from_numpy(identity.turned[chosen])
    seen = NetworkViews.stack(views)
    if rng.random() < config.blind:
        seen = seen._replace(warped=torch.zeros_like(seen.warped))
        reference = NetworkViews.of_portrait(np.zeros((config.crop, config.crop, 4), np.uint8))
    return _Sample(seen, reference, torch.stack(truths), torch.stack(weights), turned)


def drop_part(
    raw: np.ndarray, warped: np.ndarray, confidence: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take the detail away from a large part of a raw view (H, W, 4), the warped portrait (H, W, 3) and the confidence
    (H, W).

    What is left there is a blur of the picture, as where an avatar knows no more than a colour: so the portrait must
    be looked at to fill it.
    """
    size = len(raw)
    center, angle = rng.uniform(0.3, 0.7, 2) * size, rng.uniform(0, np.pi)
    y, x = np.mgrid[:size, :size] - center[:, None, None]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    if rng.random() < 0.5:
        part = along > 0
    else:
        part = np.maximum(np.abs(along) / rng.uniform(0.1, 0.3), np.abs(across) / rng.uniform(0.1, 0.3)) < size
    soft = cv2.GaussianBlur(part.astype(np.float32), (0, 0), rng.uniform(1, 6))
    alpha = raw[..., 3:].astype(np.float32) / 255
    sigma = rng.uniform(5, 25)
    covered = cv2.GaussianBlur(alpha, (0, 0), sigma)[..., None]

    def softened(color: np.ndarray) -> np.ndarray:
        blurred = cv2.GaussianBlur(color * alpha, (0, 0), sigma) / np.maximum(covered, 1e-3)
        color = color + soft[..., None] * (blurred - color)
        return as_bytes(color)

    whole = np.concatenate([softened(raw[..., :3]), raw[..., 3:]], -1)
    return whole, softened(warped), (confidence * (1 - soft)).astype(np.float32)


def _corner(shown: np.ndarray, crop: int, rng: np.random.Generator) -> tuple[int, int]:
    """The upper left corner of a crop around what is shown, a little off."""
    rows, columns = np.flatnonzero((shown > 127).any(1)), np.flatnonzero((shown > 127).any(0))
    most = len(shown) - crop
    if not len(rows):
        return most // 2, most // 2
    # From the top: of a portrait with shoulders the head counts.
    x = (columns[0] + columns[-1]) / 2 - crop / 2 + rng.uniform(-16, 16)
    y = rows[0] - rng.uniform(0, 24)
    return int(np.clip(x, 0, most)), int(np.clip(y, 0, most))


def _tone_curve(rng: np.random.Generator) -> np.ndarray:
    """(256, 3) uint8: exposure, gamma and white balance."""
    level = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.normal(0, 0.15))
    level = level * np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.06, 3))
    return as_bytes(255 * level)


def _toned(picture: np.ndarray, curve: np.ndarray) -> np.ndarray:
    color = np.stack([curve[picture[..., c], c] for c in range(3)], -1)
    return np.concatenate([color, picture[..., 3:]], -1)
