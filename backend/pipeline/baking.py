"""Baking: what the refiner makes of a ring of views is settled in the avatar's texture, once, the same from every side.

Then a frame needs no network to show it, a host's viewport shows it too, and it does not flicker.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from backend.geometry.baking import Texels
from backend.geometry.orbit import camera_from_side
from backend.geometry.posing import posed_vertices
from backend.pipeline.catalog import Refiner
from backend.pipeline.store import Registration
from backend.pipeline.view_sets import reference_state

RING = (0, 45, 90, 135, 180, -135, -90, -45)
"""Degrees of yaw off the portrait's own view."""
TEXELS = 512
"""Sides of the texture that corrections are gathered in: they have no finer detail, the avatar's own texture has it."""
SPREAD = 1.5
"""Of those texels: how far corrections go on softly where no view shows a texel."""
UNSEEN = 0.02
"""Weight below which a texel was hardly seen, and its correction fades."""


def bake(registration: Registration, refiner: Refiner, preset: str) -> Registration:
    """The same avatar, a `textured` one, with refined colours in its texture."""
    texture = baked_texture(registration, refiner, preset)
    if texture is None:
        return registration
    return replace(registration, avatar=registration.avatar.with_texture(texture), baked_by=preset)


def baked_texture(registration: Registration, refiner: Refiner, preset: str) -> np.ndarray | None:
    """An avatar's texture (H, W, 4) uint8 with refined colours; None of an avatar that has no mesh.

    The portrait's own texels stay: colours change by how unsure the photo is of them.
    """
    avatar = registration.avatar
    mesh = avatar.mesh()
    if mesh is None:
        return None
    tracked = avatar.tracked
    cameras = [camera_from_side(tracked.camera, yaw, 0, refiner.size) for yaw in RING]
    views = avatar.render(cameras, tracked.parameters)
    refined = refiner.refine(views, reference_state(registration, refiner, preset), seed=registration.seed)
    texels = Texels.of(mesh, posed_vertices(mesh, tracked.parameters), TEXELS)
    said = []
    for camera, view, image in zip(cameras, views, refined, strict=True):
        alpha = view.rgba[..., 3:].astype(np.float32) / 255
        change: np.ndarray = image - view.rgba[..., :3].astype(np.float32)
        said.append((camera, view.depth, np.dstack([alpha * change, alpha])))
    sums, weight = texels.gather(said)
    sums, weight = (cv2.GaussianBlur(x, (0, 0), SPREAD) for x in (sums, weight))
    correction = sums / (weight[..., None] + UNSEEN)
    height, width = mesh.texture.shape[:2]
    correction = cv2.resize(correction, (width, height), interpolation=cv2.INTER_LINEAR)
    unsure = 1 - mesh.confidence[..., None] / np.float32(255)
    texture = mesh.texture.copy()
    texture[..., :3] = np.clip(np.rint(texture[..., :3] + unsure * correction), 0, 255)
    return texture
