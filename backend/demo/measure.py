"""What the demo looks at through the backend: views at several yaws, and the portrait rendered again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.bench.product import VIEW_SIZE, portrait_camera, turned
from backend.client import Client
from backend.metrics.psnr_ssim import psnr, ssim_map
from backend.protocol.messages import Registered, View
from backend.protocol.pictures import bytes_over_grey

YAWS = (-35, -20, 0, 20, 35)
"""Degrees."""


@dataclass(frozen=True)
class SheetView:
    """A view of the contact sheet: its title, raw and refined (S, S, 4) uint8."""

    title: str
    raw: np.ndarray
    refined: np.ndarray


def sheet_views(client: Client, registered: Registered, size: int) -> list[SheetView]:
    """Raw and refined views at the sheet's yaws."""
    camera = portrait_camera(registered, size)
    views = []
    for yaw in YAWS:
        done = client.render(registered.avatar, turned(registered, yaw), [View("sheet", camera)])
        views.append(SheetView(f"yaw {yaw:+d}°", done.raw["sheet"].rgba, done.refined["sheet"].rgba))
    return views


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
        picture = bytes_over_grey(rgba)
        result[name] = {
            "psnr_db": round(psnr(picture, photo, inside), 2),
            "ssim": round(float(ssim_map(picture, photo)[inside].mean()), 4),
        }
    return result
