"""One training identity: a registered portrait, raw views of its avatar, and the true views that go with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.avatars.bust import BustAvatar, register_bust
from backend.geometry.orbit import orbit
from backend.people.pairing.reference import LEAST_AGREEMENT, Rejected, agreement_of, reference_image, true_camera
from backend.people.synthesis.traits import draw_traits
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.training.synthetic.alignment import align, expressed
from backend.training.synthetic.figure import Figure, build_figure
from backend.training.synthetic.materials import Looks
from backend.training.synthetic.portrait import take_photo
from backend.training.synthetic.rendering import render
from flame import HeadModel

YAW_BANDS = ((0, 0), (8, 20), (20, 35), (35, 50), (10, 40), (25, 60))
"""Degrees; the first view is the portrait's own."""
MOVES = (
    {}, {}, {"mouthSmileLeft": 0.4, "mouthSmileRight": 0.4}, {"eyeBlinkLeft": 0.9, "eyeBlinkRight": 0.9},
    {"browInnerUp": 0.6, "mouthPucker": 0.4}, {"browDownLeft": 0.6, "browDownRight": 0.6},
)  # fmt: skip
"""Changes of expression; none opens the mouth, because the figures have no teeth."""


@dataclass(frozen=True)
class Pairs:
    """An identity, all images S x S.

    Attributes:
        reference: (S, S, 4) uint8, the portrait with its matte.
        raw, truth: (N, S, S, 4) uint8, straight alpha.
        confidence: (N, S, S) uint8, 255 for 1.
        head: (N, S, S) uint8, 255 where the truth shows head or bare neck.
        angles: (N, 2) float32, yaw and pitch off the portrait's view, degrees.
        place: (N, S, S, 3) float16, metres, see `RenderedView.place`.
        warped: (N, S, S, 3) uint8, see `RenderedView.warped`.
        cameras: (N, 25) float64, K and world_to_camera row by row.
        expressions: (N, E) float32.
        betas: (B,) float32, the identity that the tracker fitted.
        agreement: dB between portrait and truth at the portrait's view.
    """

    reference: np.ndarray
    raw: np.ndarray
    truth: np.ndarray
    confidence: np.ndarray
    head: np.ndarray
    angles: np.ndarray
    place: np.ndarray
    warped: np.ndarray
    cameras: np.ndarray
    expressions: np.ndarray
    betas: np.ndarray
    agreement: float


def make_pairs(seed: int, model: HeadModel, size: int = 256) -> Pairs:
    """Make the identity of a seed.

    Raises:
        Rejected: it could not be registered, or portrait and truth disagree.
    """
    figure = build_figure(draw_traits(seed, model), model)
    looks = Looks(figure)
    photo = take_photo(figure, looks)
    try:
        avatar = register_bust(photo.data, model)
    except Exception as error:
        raise Rejected(f"not registered: {error}") from error
    aligned = align(figure, true_camera(photo.camera, avatar), avatar.tracked)
    return _views(aligned, looks, avatar, model, size)


def _views(figure: Figure, looks: Looks, avatar: BustAvatar, model: HeadModel, size: int) -> Pairs:
    rng = figure.traits.rng(21)
    tracked = avatar.tracked
    names = list(model.expression_names)
    reference = reference_image(avatar, size)
    fitted_expression = np.zeros(len(names), np.float32)
    fitted_expression[: len(tracked.parameters.expression)] = tracked.parameters.expression
    columns: dict[str, list] = {"raw": [], "truth": [], "confidence": [], "head": [], "angles": [], "place": [],
                                "warped": [], "cameras": [], "expressions": []}  # fmt: skip
    for index, (low, high) in enumerate(YAW_BANDS):
        yaw = rng.uniform(low, high) * (1 if (index + figure.traits.seed) % 2 else -1)
        pitch = rng.uniform(-12, 12) * (rng.random() < 0.6) * (index > 0)
        expression = fitted_expression.copy()
        for name, amount in MOVES[rng.integers(len(MOVES))].items() if index > 0 else ():
            if name in names:
                k = names.index(name)
                expression[k] = np.clip(expression[k] + amount, 0, 1)
        camera = orbit(tracked.camera, figure.anatomy.center, yaw, pitch)
        camera = _reframed(camera, rng if index > 0 else None, size)
        raw = avatar.render([camera], HeadParameters.from_arrays(expression=expression))[0]
        offsets = model.expressiondirs @ (expression - fitted_expression)
        picture = render(expressed(figure, offsets, model.faces), looks, camera)
        columns["raw"].append(raw.rgba)
        columns["truth"].append(_to_bytes(picture.rgba))
        columns["confidence"].append(_to_bytes(raw.confidence))
        columns["head"].append(_to_bytes(picture.head))
        columns["angles"].append((yaw, pitch))
        columns["place"].append(raw.place)
        columns["warped"].append(raw.warped)
        columns["cameras"].append([*camera.K, *camera.world_to_camera])
        columns["expressions"].append(expression)
        if index == 0:
            agreement = agreement_of(reference, columns["truth"][0], columns["head"][0])
            if agreement < LEAST_AGREEMENT:
                raise Rejected(f"portrait and truth agree only to {agreement:.1f} dB")
    types = {"angles": np.float32, "place": np.float16, "cameras": np.float64, "expressions": np.float32}
    arrays = {name: np.array(values, types.get(name, np.uint8)) for name, values in columns.items()}
    betas = np.asarray(tracked.betas, np.float32)
    return Pairs(reference=reference, betas=betas, agreement=agreement, **arrays)


def _reframed(camera: Camera, rng: np.random.Generator | None, size: int) -> Camera:
    """The camera at the refiner's size; framed a little differently with random numbers."""
    if rng is None:
        return camera.crop(0, 0, camera.width, size)
    side = camera.width * rng.uniform(0.9, 1.05)
    x, y = (camera.width - side) / 2 + camera.width * rng.uniform(-0.03, 0.03, 2)
    return camera.crop(x, y, side, size)


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(255 * values), 0, 255).astype(np.uint8)
