"""The two real portraits that packages carry and that are free to use."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image


def real_portraits() -> dict[str, bytes]:
    """Name to image file: scikit-image's astronaut and matplotlib's Grace Hopper, both public domain."""
    import matplotlib
    import skimage.data

    buffer = io.BytesIO()
    Image.fromarray(np.asarray(skimage.data.astronaut())).save(buffer, "PNG")
    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return {"astronaut": buffer.getvalue(), "hopper": hopper.read_bytes()}
