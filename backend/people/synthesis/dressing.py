"""MakeHuman's meshes and pictures on a person: what is kept of them, and the colours that they get."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from backend.people.makehuman.fitted_mesh import FittedMesh
from backend.people.makehuman.materials import Material
from backend.people.synthesis.noise import to_linear

FLOOR = -0.65
"""Metres from the eyes down to which clothes and arms are kept: no view shows more."""
IRIS_CENTRE, IRIS_RADIUS = (0.2936, 0.7015), 0.1125
"""In MakeHuman's photographs of eyes, as shares of their side."""


def trimmed(mesh: FittedMesh, rest: np.ndarray) -> FittedMesh:
    """The part of a garment that the open head's frame can show, over a base mesh at rest (19158, 3)."""
    height = mesh.fit(rest)[:, 1]
    return mesh.part((height[mesh.faces] > FLOOR).any(1))


def card(material: Material, color: np.ndarray, roughness: float = 0.45) -> dict:
    """Hair on cards: the picture's alpha and shades about its mean, in another colour (linear)."""
    mean = mean_shade(material.diffuse)
    return {"kind": "card", "image": str(material.diffuse), "color": [float(c) for c in color], "mean": mean,
            "roughness": roughness}  # fmt: skip


def fabric(material: Material, hue: float, roughness: float = 0.85) -> dict:
    """Cloth with the picture's colours, turned in hue."""
    settings = {"kind": "fabric", "image": str(material.diffuse), "hue": hue, "roughness": roughness}
    return settings | ({"normal": str(material.normal)} if material.normal else {})


@lru_cache(maxsize=256)
def mean_shade(path: Path) -> float:
    """The mean linear luminance of what a picture shows."""
    pixels = _small(path)
    weight = pixels[..., 3:] if pixels.shape[2] == 4 else np.ones_like(pixels[..., :1])
    shade = to_linear(pixels[..., :3]).mean(-1, keepdims=True)
    return float(max((shade * weight).sum() / max(weight.sum(), 1e-6), 1e-3))


@lru_cache(maxsize=64)
def skin_color(path: Path) -> tuple[float, float, float]:
    """The sRGB colour in [0, 1] of the cheeks and the forehead of a skin's picture."""
    pixels = _small(path)
    side = len(pixels)
    face = pixels[int(0.38 * side) : int(0.62 * side), int(0.80 * side) : int(0.95 * side), :3]
    red, green, blue = (float(c) for c in np.median(face.reshape(-1, 3), 0))
    return red, green, blue


@lru_cache(maxsize=16)
def eye_picture(path: Path, size: int, reach: float) -> np.ndarray:
    """(size, size, 3) sRGB in [0, 1], row 0 at the bottom; `reach` is the iris' radius over half the side."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]
    half = IRIS_RADIUS / reach * len(pixels)
    scale = size / (2 * half)
    x, y = np.array(IRIS_CENTRE) * len(pixels)
    place = np.array([[scale, 0, size / 2 - scale * x], [0, scale, size / 2 - scale * y]], np.float32)
    image = cv2.warpAffine(pixels, place, (size, size), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return image[::-1].astype(np.float32) / 255


@lru_cache(maxsize=256)
def _small(path: Path) -> np.ndarray:
    """(256, 256, 3 or 4) float32 in [0, 1], RGB first."""
    pixels: np.ndarray = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 2:
        pixels = np.stack([pixels] * 3, -1)
    pixels = cv2.resize(pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]], (256, 256), interpolation=cv2.INTER_AREA)
    return pixels.astype(np.float32) / (65535 if pixels.dtype == np.uint16 else 255)
