"""The person's matte: mediapipe's rough one, refined by GrabCut (Rother et al. 2004)."""

from __future__ import annotations

import cv2
import numpy as np
import scipy.ndimage as ndi

from backend.tracking.landmarks import person_matte

WORKING_SIZE = 256
SURE_PERSON, SURE_BACKGROUND = 0.9, 0.1
ITERATIONS = 3
EDGE_PIXELS = 1.5
"""Softness of the outline at 512 pixels."""


def matte_person(image: np.ndarray) -> np.ndarray:
    """The person in a square crop.

    Args:
        image: (S, S, 3) uint8 sRGB, head and shoulders.

    Returns:
        (S, S) float32 in [0, 1].
    """
    rough = person_matte(image)
    size = (WORKING_SIZE, WORKING_SIZE)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    likely = cv2.GaussianBlur(cv2.resize(rough, size, interpolation=cv2.INTER_AREA), (0, 0), 1)
    person = _largest_filled(_smooth(_grab_cut(small, likely)))
    matte = cv2.resize(person.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.GaussianBlur(matte, (0, 0), EDGE_PIXELS * len(image) / 512)


def _grab_cut(image: np.ndarray, likely: np.ndarray) -> np.ndarray:
    """(H, W) bool by colour, where the rough matte leaves it open."""
    labels = np.where(likely > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    # The image's border is no outline: eroding must not eat shoulders that leave the frame.
    labels[ndi.binary_erosion(likely > SURE_PERSON, iterations=2, border_value=1)] = cv2.GC_FGD
    labels[ndi.binary_erosion(likely < SURE_BACKGROUND, iterations=4, border_value=1)] = cv2.GC_BGD
    if len(set(np.unique(labels)) & {cv2.GC_FGD, cv2.GC_PR_FGD}) and len(
        set(np.unique(labels)) & {cv2.GC_BGD, cv2.GC_PR_BGD}
    ):
        cv2.setRNGSeed(0)
        background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
        calm = cv2.bilateralFilter(image, 5, 25, 3)
        cv2.grabCut(calm, labels, None, background, foreground, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


def _smooth(mask: np.ndarray) -> np.ndarray:
    """Without specks and threads; the edges are padded so that the frame does not cut the person off."""
    padded = np.pad(mask, 6, mode="edge")
    return ndi.binary_opening(ndi.binary_closing(padded, iterations=2), iterations=3)[6:-6, 6:-6]


def _largest_filled(mask: np.ndarray) -> np.ndarray:
    labels, count = ndi.label(mask)
    if count == 0:
        return mask
    sizes = ndi.sum(mask, labels, range(1, count + 1))
    return ndi.binary_fill_holes(labels == 1 + int(np.argmax(sizes)))
