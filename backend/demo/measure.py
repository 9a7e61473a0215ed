"""What the demo measures of an avatar, through the backend: views at several yaws, latencies, the frontal re-render."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from backend.client import Client
from backend.evaluation.metrics import psnr, ssim_map
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import Registered, View

YAWS = (-35, -20, 0, 20, 35)
"""Degrees."""
VIEW_SIZE = 256
REPEATS = 10
BACKDROP = 150


@dataclass(frozen=True)
class SheetView:
    """A view of the contact sheet: its title, raw and refined (S, S, 4) uint8."""

    title: str
    raw: np.ndarray
    refined: np.ndarray


def turned(registered: Registered, yaw: float) -> HeadParameters:
    """The portrait's expression with the head turned about the neck by so many degrees."""
    pose = np.zeros((5, 3))
    pose[1, 1] = np.radians(yaw)
    return HeadParameters.from_arrays(pose, registered.parameters.expression)


def portrait_camera(registered: Registered, size: int) -> Camera:
    """The portrait's own camera at another resolution."""
    return registered.camera.crop(0, 0, registered.camera.width, size)


def sheet_views(client: Client, registered: Registered, size: int) -> list[SheetView]:
    """Raw and refined views at the sheet's yaws."""
    camera = portrait_camera(registered, size)
    views = []
    for yaw in YAWS:
        done = client.render(registered.avatar, turned(registered, yaw), [View("sheet", camera)])
        views.append(SheetView(f"yaw {yaw:+d}°", done.raw["sheet"].rgba, done.refined["sheet"].rgba))
    return views


def latencies(client: Client, registered: Registered) -> dict[str, dict[str, float]]:
    """Milliseconds, as a host sees them: one raw view, and two views raw and refined together, at 256x256."""
    camera = portrait_camera(registered, VIEW_SIZE)
    result = {}
    for name, keys, refined in (("raw_view", "a", False), ("two_refined_views", "ab", True)):
        seconds = []
        for repeat in range(REPEATS + 1):
            parameters = turned(registered, 7.0 * (repeat - REPEATS / 2))
            views = [View(key, camera) for key in keys]
            started = time.perf_counter()
            client.render(registered.avatar, parameters, views, raw=not refined, refined=refined)
            seconds.append(time.perf_counter() - started)
        # The first one warms the refiner's caches of this avatar.
        p50, p95 = np.percentile(np.array(seconds[1:]) * 1000, (50, 95))
        result[name] = {"p50_ms": round(p50, 1), "p95_ms": round(p95, 1)}
    return result


def frontal_fidelity(client: Client, registered: Registered) -> dict[str, dict[str, float]]:
    """PSNR (dB) and SSIM of the portrait rendered again, at 256x256 inside the matte, over grey, raw and refined."""
    import cv2

    camera = portrait_camera(registered, VIEW_SIZE)
    done = client.render(registered.avatar, registered.parameters, [View("front", camera)])
    size = (VIEW_SIZE, VIEW_SIZE)
    photo = cv2.resize(registered.reference[..., :3], size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(registered.reference[..., 3], size, interpolation=cv2.INTER_AREA) > 127
    result = {}
    for name, rgba in (("raw", done.raw["front"].rgba), ("refined", done.refined["front"].rgba)):
        picture = over_grey(rgba)
        result[name] = {
            "psnr_db": round(psnr(picture, photo, inside), 2),
            "ssim": round(float(ssim_map(picture, photo)[inside].mean()), 4),
        }
    return result


def over_grey(rgba: np.ndarray) -> np.ndarray:
    """(H, W, 4) straight alpha over a grey backdrop, (H, W, 3) uint8."""
    alpha = rgba[..., 3:] / 255
    return np.rint(rgba[..., :3] * alpha + BACKDROP * (1 - alpha)).astype(np.uint8)
