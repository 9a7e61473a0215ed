"""What each pixel shows: decided by Blender's Cryptomatte pass, and by geometry for what is clear."""

from __future__ import annotations

import json
import struct

import numpy as np

from backend.geometry.rasterizer import rasterize
from backend.people.synthesis.files import LABELS
from backend.protocol.camera import Camera


def decode_cryptomatte(header: dict, ranks: np.ndarray) -> np.ndarray:
    """The label that has the largest share of each pixel, (S, S) uint8; 0 where nothing has more than the background.

    Args:
        header: of the EXR file; its manifest gives the materials' names by the hashes that the pass has (Friedman and
            Jones, Fully automatic ID mattes, 2015).
        ranks: (S, S, R, 2) float32, pairs of a hash, as a float of the same bits, and a share.
    """
    manifest = next(
        value for key, value in header.items() if key.startswith("cryptomatte/") and key.endswith("manifest")
    )
    shares = np.zeros((len(LABELS) + 1, *ranks.shape[:2]), np.float32)
    for name, code in json.loads(manifest).items():
        # Blender numbers materials of one name: hair, hair.001, ...
        label = LABELS.get(name.split(".")[0])
        if label:
            here = ranks[..., 0] == struct.unpack(">f", bytes.fromhex(code))[0]
            shares[label] += np.where(here, ranks[..., 1], 0).sum(-1)
    shares[0] = 1 - shares[1:].sum(0)
    return shares.argmax(0).astype(np.uint8)


def add_lenses(
    labels: np.ndarray, depth: np.ndarray, camera: Camera, vertices: np.ndarray, faces: np.ndarray
) -> np.ndarray:
    """Labels (S, S) with eyewear also where clear lenses (n, 3), (F, 3) stand before what is seen, by depth (S, S)."""
    screen = np.column_stack([camera.project(vertices), camera.to_camera(vertices)[:, 2]])
    raster = rasterize(screen, faces, camera.width, camera.width)
    before = raster.covered & ((depth <= 0) | (raster.depth < depth))
    return np.where(before, np.uint8(LABELS["eyewear"]), labels)
