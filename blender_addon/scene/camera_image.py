"""A camera's view of the heads as an Image datablock, updated in place, for textures on cards and for looking at.

It is always the whole frame, as a card is: a render border belongs to a render.
"""

from __future__ import annotations

import bpy
import numpy as np

from .material import set_pixels


def image_name(camera: bpy.types.Object) -> str:
    """The name of a camera's image: the same for ever, so that textures keep it."""
    return f"TP3D {camera.name}"


def image_of_camera(camera: bpy.types.Object) -> bpy.types.Image:
    """A camera's image, made clear and small where it has none yet."""
    name = image_name(camera)
    image = bpy.data.images.get(name)
    if image is None:
        image = bpy.data.images.new(name, 4, 4, alpha=True)
        image.alpha_mode = "STRAIGHT"
        set_pixels(image, np.zeros((4, 4, 4), np.uint8))
    return image


def update_image(camera: bpy.types.Object, rgba: np.ndarray) -> bpy.types.Image:
    """Write (H, W, 4) uint8 sRGB into a camera's image, which is made at the first time and scaled when need be."""
    height, width = rgba.shape[:2]
    image = image_of_camera(camera)
    if tuple(image.size) != (width, height):
        image.scale(width, height)
    set_pixels(image, rgba)
    return image
