"""Moments in order: each is refined with the one before, warped by the known geometry, as one more reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from backend.geometry.posing import pixels_before
from backend.pipeline.catalog import Refiner
from backend.pipeline.moments import Crops, Moment, reference_state
from backend.protocol.rigged_mesh import RiggedMesh


def refine_in_order(
    refiner: Refiner,
    moments: Sequence[Moment],
    preset: str,
    noise_level: float,
    warn: Callable[[str], None] | None = None,
) -> list[tuple[Crops, list[np.ndarray]]]:
    """Refine moments one after the other, those of each avatar as a sequence of its own.

    Avatars that are no mesh have no known motion: theirs are refined without the one before.

    Returns:
        For each moment its crops and their refined pictures (S, S, 3) uint8.
    """
    last: dict[str, tuple[Crops, list[np.ndarray]]] = {}
    results = []
    for moment in moments:
        registration = moment.registration
        crops = Crops.of(moment, refiner.size)
        state = reference_state(registration, refiner, preset)
        mesh = registration.avatar.mesh()
        if mesh is not None and registration.avatar.id in last:
            for picture, place in _warped(mesh, crops, *last[registration.avatar.id]):
                state = state.joined(refiner.encode_reference(picture, place))
        images = []
        if crops.views:
            images = refiner.refine_batch([crops.views], state, noise_level, registration.seed, warn)[0]
        last[registration.avatar.id] = crops, images
        results.append((crops, images))
    return results


def _warped(
    mesh: RiggedMesh, crops: Crops, before: Crops, images: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """The earlier pictures as the cameras of now would see them, (S, S, 4) uint8, clear where nothing is known, and the
    places on the head that they show.
    """
    earlier = dict(zip(before.squares, zip(before.cameras, before.views, images, strict=True), strict=True))
    pictures = []
    for number, camera, view in zip(crops.squares, crops.cameras, crops.views, strict=True):
        if number in earlier:
            camera_before, view_before, image = earlier[number]
            pixels, seen = pixels_before(
                mesh,
                (camera, crops.moment.parameters),
                (camera_before, before.moment.parameters),
                view_before.depth,
            )
            pictures.append((np.dstack([sample(image, pixels), np.where(seen, view.rgba[..., 3], 0)]), view.place))
    return pictures


def sample(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """An image (H, W, C) at places (h, w, 2), x and y in pixels with centres at .5; cubic, edges continued."""
    x, y = (np.ascontiguousarray(pixels[..., i] - 0.5, np.float32) for i in (0, 1))
    return cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
