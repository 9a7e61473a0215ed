"""Images made from the portrait: the photo without its background, and its smooth version."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

EDGE = 6.0
"""Pixels inside a mask's edge within which its colours may be mixed with what is beyond."""
THREAD = 0.08
"""Weight of a neighbourhood below which its colour is not the region's own."""
STRIP = (8.0, 20.0)
"""Greatest depths of hair, pixels, up to which it is but a strip along the head, and from which on it is not."""
GLARE = (0.1, 0.3)
"""Natural logarithms of how much brighter than skin a strip of hair is hair, and is light on a bald head."""
MATTE_MARGIN = 3
"""Pixels by which the matte is trusted less than it says, so that no background bleeds into the hair."""


def photo_without_background(image: np.ndarray, person: np.ndarray) -> np.ndarray:
    """The photo continued outwards from well inside the matte.

    Args:
        image: (S, S, 3) uint8.
        person: (S, S) bool.

    Returns:
        (S, S, 3) float32, sRGB in 0..255.
    """
    core = ndimage.binary_erosion(person, iterations=MATTE_MARGIN, border_value=1)
    continued = nearest_fill(image, core)
    blend = cv2.GaussianBlur(core.astype(np.float32), (0, 0), 1.2)[..., None]
    return continued * blend + cv2.GaussianBlur(continued, (0, 0), 2.5) * (1 - blend)


def hair_colors(image: np.ndarray, hair: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """The colour (S, S, 3), float32, that hair has where the photo does not show it, by the pixel it lies behind.

    Half that of the hair right there, half that of a wide, deep part of it: a light from behind draws a bright rim on
    many a head, and painted over the whole hidden side it was the worst error that a turned head had. Neither half
    alone is as near to the true colour. Where all hair is a strip that is brighter than the skin, it is such a light
    on a bald head, whose hidden side is skin, too.

    Args:
        image: (S, S, 3) uint8.
        hair, skin: (S, S) bool.
    """
    color = (smooth_inside(image, hair, 5.0) + smooth_inside(image, hair, 25.0, edge=20.0)) / 2
    strip = np.interp(ndimage.distance_transform_edt(hair).max(), STRIP, (1, 0))
    if not strip or not hair.any() or not skin.any():
        return color
    bare = smooth_inside(image, skin, 20.0, edge=20.0)
    brighter = np.log((color.mean(-1, keepdims=True) + 8) / (bare.mean(-1, keepdims=True) + 8))
    return (color + strip * np.interp(brighter, GLARE, (0, 1)) * (bare - color)).astype(np.float32)


def smooth_inside(image: np.ndarray, mask: np.ndarray, sigma: float, edge: float = EDGE) -> np.ndarray:
    """Blur (S, S, 3) within a mask only, trusting its edge (pixels) least; elsewhere, and where the mask is but a
    thread, the nearest value. Float32."""
    if not mask.any():
        return image.astype(np.float32)
    depth = ndimage.distance_transform_edt(mask).astype(np.float32)
    weight = np.clip(depth / edge, 0, 1) ** 3
    total = cv2.GaussianBlur(image.astype(np.float32) * weight[..., None], (0, 0), sigma)
    trust = cv2.GaussianBlur(weight, (0, 0), sigma)
    blurred = total / np.maximum(trust, 1e-6)[..., None]
    return nearest_fill(blurred, mask & (trust >= min(THREAD, trust.max())))


def nearest_fill(image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Each pixel takes the value of the nearest valid one; (S, S, C) float32."""
    if not valid.any():
        return image.astype(np.float32)
    rows, columns = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return image[rows, columns].astype(np.float32)


def sample(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Bilinear samples (n, C) of an image (S, S, C) at continuous pixel positions (n, 2), edges repeated."""
    image = image.astype(np.float32)
    x, y = (pixels - 0.5).astype(np.float32).T
    # cv2.remap takes at most 32767 columns.
    parts = range(0, len(pixels), 30000)
    chunks = [
        cv2.remap(
            image, x[None, i : i + 30000], y[None, i : i + 30000], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        for i in parts
    ]
    return np.concatenate(chunks, 1)[0] if chunks else np.zeros((0, image.shape[2]), np.float32)
