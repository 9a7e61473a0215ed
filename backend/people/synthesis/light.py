"""Light: rigs of area lamps, and procedural skies as high dynamic range panoramas; and what is seen behind a person."""

from __future__ import annotations

import cv2
import numpy as np

from backend.people.synthesis.background import draw_background
from backend.people.synthesis.noise import field_2d, smoothstep, to_linear
from backend.protocol.camera import Camera

SKY = (64, 128)
RIGS = ("three lamps", "softbox", "side", "butterfly", "rim", "none")


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
    weight = np.cos(e)[..., None]
    mean = (image.mean(-1, keepdims=True) * weight).sum() / weight.sum()
    return kind, (image * 0.35 / mean).astype(np.float32)


def _lamp(e: np.ndarray, a: np.ndarray, elevation: float, azimuth: float, spread: float) -> np.ndarray:
    cosine = np.sin(e) * np.sin(elevation) + np.cos(e) * np.cos(elevation) * np.cos(a - azimuth)
    return np.exp((cosine - 1) / spread**2)


def draw_rig(rng: np.random.Generator) -> tuple[str, list[dict]]:
    """A kind and its lamps: position (3,) about the face, metres; size, metres; power, watts; colour."""
    kind = str(rng.choice(RIGS, p=[0.25, 0.2, 0.15, 0.12, 0.13, 0.15]))
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
    return kind, lamps


def backdrop(rng: np.random.Generator, sky: np.ndarray, camera: Camera, open_air: bool) -> np.ndarray:
    """(H, W, 3) linear: a wall, or the surroundings out of focus."""
    size = camera.width
    if not open_air:
        return to_linear(draw_background(rng, size))
    y, x = np.meshgrid((np.arange(size) + 0.5), (np.arange(size) + 0.5), indexing="ij")
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(camera.intrinsics).T @ camera.extrinsics[:3, :3]
    # A wider piece of the panorama than the lens sees, so that there is something to see.
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    u = (np.arctan2(rays[..., 0], rays[..., 2]) / (2 * np.pi) + 0.5) * SKY[1] - 0.5
    v = (0.5 - np.arcsin(rays[..., 1]) / np.pi) * SKY[0] - 0.5
    detail = 1 + 0.3 * cv2.resize(field_2d(rng, (48, 48), 2.0), (size, size), interpolation=cv2.INTER_CUBIC)
    seen = cv2.remap(sky, u.astype(np.float32), v.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    return np.clip(seen * detail[..., None], 0, 4)
