"""Pictures of figures: rasterised, then shaded per pixel; hair is a second, translucent layer."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from backend.people.synthesis.noise import to_linear, to_srgb
from backend.protocol.camera import Camera
from backend.rasterizer import Raster, interpolate, rasterize
from backend.training.synthetic.figure import Figure, Part
from backend.training.synthetic.materials import Looks, Surface

SUPERSAMPLING = 2


@dataclass(frozen=True)
class Picture:
    """A rendered figure.

    Attributes:
        rgba: (H, W, 4) float32 sRGB in [0, 1], straight alpha.
        head: (H, W) float32 in [0, 1], how much of the pixel is head or bare neck rather than clothes, with the inside
            of the mouth left out (the figures have no teeth).
    """

    rgba: np.ndarray
    head: np.ndarray


def render(figure: Figure, looks: Looks, camera: Camera) -> Picture:
    """Render a figure with a camera over its space."""
    size = (camera.width, camera.height)
    fine = camera.crop(0, 0, camera.width / SUPERSAMPLING, camera.width)
    fine = Camera.from_arrays(fine.intrinsics, fine.extrinsics, *(SUPERSAMPLING * side for side in size))
    layers = _layer(figure, looks, fine, figure.part != Part.HAIR)
    if (figure.part == Part.HAIR).any():
        hair = _layer(figure, looks, fine, np.ones(len(figure.part), bool))
        # The second layer hides the first only as far as its hair is opaque.
        opacity = hair[..., 5:6]
        layers[..., :5] = layers[..., :5] * (1 - opacity) + hair[..., :5] * opacity
    layers = cv2.resize(layers[..., :5], size, interpolation=cv2.INTER_AREA)
    alpha = layers[..., 3:4]
    color = to_srgb(layers[..., :3] / np.maximum(alpha, 1e-6)) * (alpha > 0)
    return Picture(np.concatenate([color, alpha], -1).astype(np.float32), layers[..., 4])


def _layer(figure: Figure, looks: Looks, camera: Camera, drawn: np.ndarray) -> np.ndarray:
    """(H, W, 6): premultiplied linear RGB, coverage, head, opacity, of some of the triangles."""
    seen = camera.to_camera(figure.vertices)
    screen = seen @ camera.intrinsics.T
    screen = np.concatenate([screen[:, :2] / screen[:, 2:], seen[:, 2:]], 1)
    faces = figure.faces[drawn]
    raster = rasterize(screen, faces, camera.width, camera.height)
    out = np.zeros((camera.height, camera.width, 6), np.float32)
    covered = raster.covered
    if not covered.any():
        return out
    attributes = _Attributes(figure, raster, faces)
    part = figure.part[drawn][raster.triangle[covered]]
    surface, head = _surface(looks, attributes, part)
    color = _shade(surface, attributes, camera.center, figure.light.key, translucent=part == Part.HAIR)
    out[covered] = np.concatenate([color, np.ones((len(color), 1)), head[:, None], surface.opacity[:, None]], 1)
    return out


class _Attributes:
    """Interpolated vertex attributes at the covered pixels."""

    def __init__(self, figure: Figure, raster: Raster, faces: np.ndarray) -> None:
        anatomy = figure.anatomy
        body = len(anatomy.template)
        flags = np.zeros((len(figure.vertices), 5), np.float32)
        flags[:body] = np.stack(
            [anatomy.head_weight, anatomy.eye_left, anatomy.eye_right, anatomy.ears, anatomy.mouth], 1
        )
        columns = [figure.vertices, figure.normals, figure.paint_place, figure.irradiance]
        stacked = np.concatenate([*columns, figure.below_collar[:, None], flags], 1)
        values = interpolate(raster, faces, stacked)[raster.covered]
        self.position, self.normal, self.place, self.irradiance = (values[:, 3 * i : 3 * i + 3] for i in range(4))
        names = ("below_collar", "head", "eye_left", "eye_right", "ears", "mouth")
        self.flags = {name: values[:, 12 + i] for i, name in enumerate(names)}


def _surface(looks: Looks, at: _Attributes, part: np.ndarray) -> tuple[Surface, np.ndarray]:
    count = len(part)
    surface = Surface(np.zeros((count, 3)), np.zeros(count), np.ones(count), np.ones(count))
    painters = {Part.HAIR: looks.hair, Part.CAP: looks.cap, Part.BRIM: looks.brim, Part.GLASSES: looks.glasses}
    for kind in Part:
        here = part == kind
        if not here.any():
            continue
        if kind == Part.BODY:
            painted = looks.body(at.place[here], {name: flag[here] for name, flag in at.flags.items()})
        else:
            painted = painters[kind](at.place[here])
        for name in ("color", "shine", "sharpness", "opacity"):
            getattr(surface, name)[here] = getattr(painted, name)
    bare = (at.flags["below_collar"] < 0) & (at.flags["mouth"] < 0.5)
    return surface, ((part != Part.BODY) | bare).astype(np.float32)


def _shade(surface: Surface, at: _Attributes, eye: np.ndarray, key: np.ndarray, translucent: np.ndarray) -> np.ndarray:
    """Linear colour (P, 3): diffuse by the irradiance, a Blinn-Phong highlight from the brightest light."""
    view = eye - at.position
    view /= np.linalg.norm(view, axis=1, keepdims=True)
    normal = at.normal / np.maximum(np.linalg.norm(at.normal, axis=1, keepdims=True), 1e-9)
    half = view + key
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    facing = (normal * half).sum(1)
    facing = np.where(translucent, np.abs(facing), np.clip(facing, 0, 1))
    grazing = 1 - np.clip(np.abs((normal * view).sum(1)), 0, 1)
    highlight = surface.shine * (0.5 + 0.5 * grazing**3) * facing**surface.sharpness
    return to_linear(surface.color) * at.irradiance + highlight[:, None] * np.clip(at.irradiance, 0, 1.2)
