"""View sets in order: each is refined with the one before, warped by the known geometry, as one more reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from backend.geometry.posing import pixels_before
from backend.geometry.sampling import sample_bicubic
from backend.pipeline.catalog import Refiner
from backend.pipeline.view_sets import Crops, ViewSet, reference_state
from backend.protocol.rigged_mesh import RiggedMesh


def refine_in_order(
    refiner: Refiner,
    view_sets: Sequence[ViewSet],
    preset: str,
    noise_level: float,
    warn: Callable[[str], None] | None = None,
) -> list[tuple[Crops, list[np.ndarray]]]:
    """Refine view sets one after the other, those of each avatar as a sequence of its own.

    Avatars that are no mesh have no known motion: theirs are refined without the one before.

    Returns:
        For each view set its crops and their refined pictures (S, S, 3) uint8.
    """
    last: dict[str, tuple[Crops, list[np.ndarray]]] = {}
    results = []
    for view_set in view_sets:
        registration = view_set.registration
        crops = Crops.of(view_set, refiner.size)
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
                (camera, crops.view_set.parameters),
                (camera_before, before.view_set.parameters),
                view_before.depth,
            )
            pictures.append(
                (np.dstack([sample_bicubic(image, pixels), np.where(seen, view.rgba[..., 3], 0)]), view.place)
            )
    return pictures
