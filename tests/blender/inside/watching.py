"""How the tests wait for the live preview and look at what it shows."""

from __future__ import annotations

import time
from collections.abc import Callable

import bpy
import numpy as np

from blender_addon.connection.link import link
from blender_addon.live import session
from blender_addon.scene.camera_image import image_name

PATIENCE_SECONDS = 150


def turn_until(done: Callable[[], object], what: str = "") -> None:
    """Turn the timers as Blender's main loop would."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, f"waited in vain: {what} {link.message}"
        link.advance()
        session.tick()
        time.sleep(0.002)


def stop_backend() -> None:
    """Stop it, or disconnect from it, as the button does."""
    link.stop()
    link.run(link.until_stopped())


def idle(scene: bpy.types.Scene) -> bool:
    """The scene's preview shows what it shall."""
    current = session.session_of(scene)
    return current is not None and all(stream.idle for stream in current.streams)


def settle(scene: bpy.types.Scene) -> None:
    """Let the preview come to rest after a change."""
    bpy.context.view_layer.update()
    turn_until(lambda: idle(scene), "rest")


def pixels_of(image: bpy.types.Image) -> np.ndarray:
    """(H, W, 4) float32, top row first."""
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(image.size[1], image.size[0], 4)[::-1]


def shown(camera: bpy.types.Object) -> np.ndarray | None:
    """A camera's image as `pixels_of`; None while it has none or an empty one."""
    image = bpy.data.images.get(image_name(camera))
    return None if image is None or image.size[0] == 4 else pixels_of(image)


def middle(pixels: np.ndarray) -> float:
    """Where the head is in a picture (H, W, 4), in widths from the left."""
    return float(np.nonzero(pixels[..., 3] > 0.5)[1].mean() / pixels.shape[1])
