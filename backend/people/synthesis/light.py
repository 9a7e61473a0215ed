"""Light: photographed or procedural surroundings as panoramas of high dynamic range, lamps; what is seen behind."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from backend.geometry.smoothstep import smoothstep
from backend.people.synthesis.background import draw_background
from backend.people.synthesis.noise import field_2d, to_linear
from backend.protocol.camera import Camera

SKY = (64, 128)
LIT = (256, 512)
"""Of the panoramas that light: what is smaller lights no differently."""
MEAN = 0.35
"""Luminance of every panorama."""
GLARE = 40.0
"""Of the mean; what is brighter is sun or lamp, and is dimmed by chance as clouds and curtains do."""
HELD_OUT_SKIES = frozenset(("forest", "sunset"))
"""Around held-out people only."""
WIDER = 2.5
"""How much more of the surroundings is seen than the lens would show: portraits are often taken near by."""
INDOORS = frozenset(("interior", "studio", "room"))
RIGS = ("three lamps", "softbox", "side", "butterfly", "rim", "none")


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What stands around a person.

    Attributes:
        name: of the photograph or the procedural sky.
        panorama: (H, W, 3) linear, mean luminance `MEAN`; row 0 is up (+y), the middle column faces +z.
        open_air: whether the person is seen in it rather than before a wall.
        photographed: whether it is a photograph.
    """

    name: str
    panorama: np.ndarray
    open_air: bool
    photographed: bool

    @property
    def light(self) -> np.ndarray:
        """The panorama as it is sent to Blender, no larger than `LIT`."""
        if len(self.panorama) <= LIT[0]:
            return self.panorama
        return cv2.resize(self.panorama, LIT[::-1], interpolation=cv2.INTER_AREA)


def blender_skies(blender: str | None = None) -> dict[str, Path]:
    """The panoramas that a Blender brings (CC0), by their names; of the package bpy, or of an installed one."""
    if blender is None:
        found = importlib.util.find_spec("bpy")
        root = Path(found.origin).parent if found and found.origin else None
    else:
        root = Path(blender).resolve().parent
    return {p.stem: p for p in sorted(root.glob("*/datafiles/studiolights/world/*.exr"))} if root else {}


def draw_surroundings(rng: np.random.Generator, skies: dict[str, Path], held_out: bool) -> Surroundings:
    """One of the photographed skies, turned, tinted and with its sun dimmed by chance; a procedural one without any."""
    names = [name for name in skies if held_out or name not in HELD_OUT_SKIES]
    if not names:
        kind, image = draw_sky(rng)
        return Surroundings(kind, image, bool(rng.random() < (0.3 if kind in INDOORS else 0.75)), False)
    weight = np.array([2.0 if name in HELD_OUT_SKIES else 1.0 for name in names])
    name = names[rng.choice(len(names), p=weight / weight.sum())]
    image = _photograph(skies[name]).copy()
    bright = image.mean(-1, keepdims=True)
    glare = np.maximum(bright / (GLARE * bright.mean()), 1.0)
    image *= glare ** (rng.uniform(0.0, 0.9) - 1)
    image *= np.exp(rng.normal(0, 1, 3) * [0.08, 0.02, 0.10]).astype(np.float32)
    image = np.roll(image, rng.integers(image.shape[1]), 1)
    return Surroundings(name, _normalised(image), bool(rng.random() < 0.7), True)


@lru_cache(maxsize=8)
def _photograph(path: Path) -> np.ndarray:
    import OpenEXR

    channels = OpenEXR.File(str(path)).parts[0].channels
    return np.clip(np.asarray(channels["RGB"].pixels[..., :3], np.float32), 0, 1e5)


def _normalised(image: np.ndarray) -> np.ndarray:
    elevation = (0.5 - (np.arange(len(image)) + 0.5) / len(image)) * np.pi
    weight = np.cos(elevation)[:, None, None]
    mean = (image.mean(-1, keepdims=True) * weight).sum() / (weight.sum() * image.shape[1])
    return (image * MEAN / mean).astype(np.float32)


def draw_sky(rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """A kind and a panorama (64, 128, 3), linear, mean luminance 0.35; row 0 is up (+y), the middle column faces +z."""
    height, width = SKY
    elevation = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    azimuth = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    e, a = np.meshgrid(elevation, azimuth, indexing="ij")
    kind = str(rng.choice(["overcast", "sunny", "dusk", "room", "studio"], p=[0.2, 0.2, 0.15, 0.25, 0.2]))
    clouds = field_2d(rng, SKY, (3, 7))
    ground = to_linear(rng.uniform(0.2, 0.55) * rng.uniform(0.85, 1.1, 3))
    if kind in ("overcast", "sunny", "dusk"):
        zenith, horizon = {
            "overcast": ([0.75, 0.80, 0.86], [0.62, 0.64, 0.66]),
            "sunny": ([0.22, 0.42, 0.85], [0.75, 0.82, 0.92]),
            "dusk": ([0.22, 0.25, 0.45], [1.05, 0.62, 0.38]),
        }[kind]
        t = smoothstep(e, 0.0, 1.1)[..., None]
        sky = np.array(horizon) * (1 - t) + np.array(zenith) * t
        sky = (
            sky * (1 + 0.25 * clouds[..., None])
            if kind != "sunny"
            else sky + 0.25 * smoothstep(clouds, 0.6, 1.6)[..., None]
        )
        image = np.where((e > 0)[..., None], sky, ground * (0.6 + 0.4 * np.cos(e)[..., None]))
        if kind != "overcast":
            sun = rng.uniform(0.15, 0.35) if kind == "dusk" else rng.uniform(0.45, 1.0)
            strength, spread = (30, 0.12) if kind == "dusk" else (55, 0.10)
            image = image + _lamp(e, a, sun, rng.uniform(-2.2, 2.2), spread)[..., None] * strength * np.array(
                [1, 0.88, 0.72]
            )
    else:
        wall = to_linear(rng.uniform(0.25, 0.7) * rng.uniform(0.9, 1.1, 3)) * 0.5
        image = wall * (1 + 0.15 * clouds[..., None]) * (0.8 + 0.4 * smoothstep(e, -1.2, 1.2)[..., None])
        for _ in range(rng.integers(1, 4)):
            place, size = (rng.uniform(-0.1, 0.9), rng.uniform(-np.pi, np.pi)), rng.uniform(0.25, 0.6, 2)
            box = smoothstep(np.abs(e - place[0]), size[0] + 0.06, size[0] - 0.06)
            box = box * smoothstep(np.abs((a - place[1] + np.pi) % (2 * np.pi) - np.pi), size[1] + 0.06, size[1] - 0.06)
            tint = np.array([1, 0.97, 0.92]) if kind == "studio" else rng.choice([[0.85, 0.95, 1.1], [1.1, 0.9, 0.65]])
            image = image + box[..., None] * rng.uniform(2, 7) * np.asarray(tint)
    return kind, _normalised(image)


def _lamp(e: np.ndarray, a: np.ndarray, elevation: float, azimuth: float, spread: float) -> np.ndarray:
    cosine = np.sin(e) * np.sin(elevation) + np.cos(e) * np.cos(elevation) * np.cos(a - azimuth)
    return np.exp((cosine - 1) / spread**2)


def draw_rig(rng: np.random.Generator, photographed: bool) -> tuple[str, list[dict], float]:
    """A kind, its lamps, and the surroundings' strength beside them.

    Lamps: position (3,) about the face, metres; size, metres; power, watts; colour. Photographed surroundings light
    alone or with one key lamp.
    """
    chances = [0.0, 0.25, 0.12, 0.08, 0.0, 0.55] if photographed else [0.25, 0.2, 0.15, 0.12, 0.13, 0.15]
    kind = str(rng.choice(RIGS, p=chances))
    side = rng.choice([-1.0, 1.0])
    warm = rng.uniform(-0.12, 0.15)
    tint = [1 + warm, 1.0, 1 - warm]

    def lamp(azimuth: float, elevation: float, distance: float, size: float, power: float) -> dict:
        a, e = np.radians([side * azimuth, elevation])
        place = distance * np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
        return {"position": place.tolist(), "size": size, "power": power * distance**2, "color": tint}

    u = rng.uniform
    lamps = {
        "three lamps": [lamp(u(25, 50), u(20, 45), 1.3, u(0.3, 0.7), 20), lamp(-u(30, 60), u(0, 20), 1.6, 0.9, 7),
                        lamp(-u(140, 165), u(20, 40), 1.4, 0.4, 9)],
        "softbox": [lamp(u(5, 40), u(10, 40), 1.2, u(0.8, 1.3), 22)],
        "side": [lamp(u(65, 95), u(5, 30), 1.2, u(0.3, 0.8), 24), lamp(-u(20, 60), u(0, 20), 1.6, 1.0, 4)],
        "butterfly": [lamp(u(-6, 6), u(38, 55), 1.2, u(0.3, 0.6), 24), lamp(0, -u(20, 40), 1.3, 0.8, 5)],
        "rim": [lamp(u(130, 160), u(10, 40), 1.3, 0.4, 15), lamp(-u(130, 160), u(10, 40), 1.3, 0.4, 10),
                lamp(u(0, 40), u(5, 25), 1.5, 1.0, 12)],
        "none": [],
    }[kind]  # fmt: skip
    if photographed:
        return kind, lamps[:1], float(rng.uniform(0.6, 1.6) if lamps else 1.6)
    return kind, lamps, float(rng.uniform(0.35, 0.8) if lamps else 1.6)


def backdrop(rng: np.random.Generator, surroundings: Surroundings, camera: Camera) -> np.ndarray:
    """(S, S, 3) linear: a wall, or the surroundings, in focus."""
    size, sky = camera.width, surroundings.panorama
    if not surroundings.open_air:
        return to_linear(draw_background(rng, size))
    y, x = np.meshgrid((np.arange(size) + 0.5), (np.arange(size) + 0.5), indexing="ij")
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(camera.intrinsics).T
    # A wider piece of the panorama than the lens sees, so that there is something to see.
    rays = rays * [WIDER, WIDER, 1] @ camera.extrinsics[:3, :3]
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    u = (np.arctan2(rays[..., 0], rays[..., 2]) / (2 * np.pi) + 0.5) * sky.shape[1] - 0.5
    v = (0.5 - np.arcsin(rays[..., 1]) / np.pi) * sky.shape[0] - 0.5
    seen = cv2.remap(sky, u.astype(np.float32), v.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    if not surroundings.photographed:
        detail = cv2.resize(field_2d(rng, (48, 48), 2.0), (size, size), interpolation=cv2.INTER_CUBIC)
        seen = seen * (1 + 0.3 * detail[..., None])
    return np.clip(seen, 0, 4)
