"""Pictures to look at, as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import atomic_file


def save_picture(path: str | Path, pixels: np.ndarray, quality: int = 92) -> None:
    """Write a picture (H, W), (H, W, 3) or (H, W, 4) uint8 in the format of the path's suffix.

    Args:
        quality: of a JPEG.

    Raises:
        TurboPortraitError: as `atomic_file`; cannot_write, where the suffix is that of no picture.
    """
    path = Path(path)
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in Image.SAVE:
        raise TurboPortraitError("cannot_write", f"{path}: pictures end in .png or .jpg")
    with atomic_file(path) as part:
        Image.fromarray(pixels).save(part, kind, **({"quality": quality} if kind == "JPEG" else {}))
