"""Pictures as files: PNG and OpenEXR, written whole, each with its metadata."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from backend.batch.atomic import whole_file
from backend.batch.layers import Picture, to_srgb
from backend.batch.metadata import KEY, SYNTHETIC, as_json, xmp_packet
from backend.protocol.errors import TurboPortraitError

PNG_COMPRESSION = 3
"""Of 0 to 9: a third of the default's time, files 5 % larger."""


def write_picture(path: Path, picture: Picture, metadata: dict[str, Any]) -> int:
    """Write a frame as its suffix says; the bytes of the file.

    Raises:
        TurboPortraitError: disk_full or cannot_write.
    """
    write = _write_exr if path.suffix == ".exr" else _write_png
    try:
        with whole_file(path) as part:
            write(part, picture, metadata)
        return path.stat().st_size
    # OpenEXR reports a full disk as RuntimeError.
    except (OSError, RuntimeError) as error:
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        raise TurboPortraitError("disk_full" if full else "cannot_write", f"{path}: {error}"[:300]) from error


def _write_png(path: Path, picture: Picture, metadata: dict[str, Any]) -> None:
    info = PngImagePlugin.PngInfo()
    info.add(b"sRGB", b"\0")
    info.add_itxt(KEY, as_json(metadata))
    info.add_itxt("Software", metadata["software"])
    info.add_itxt("XML:com.adobe.xmp", xmp_packet(metadata["software"]))
    Image.fromarray(picture.rgba).save(path, "PNG", pnginfo=info, compress_level=PNG_COMPRESSION)


def _write_exr(path: Path, picture: Picture, metadata: dict[str, Any]) -> None:
    """R, G, B, A in half floats (linear Rec. 709, straight alpha), Z in float, a matte per head in half."""
    import OpenEXR

    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        KEY: as_json(metadata),
        "software": metadata["software"],
        "digitalSourceType": SYNTHETIC,
        "xmp": xmp_packet(metadata["software"]),
        "alphaType": "straight",
    }
    channels = {"RGBA": picture.linear.astype(np.float16), "Z": picture.depth}
    for name, matte in picture.mattes.items():
        channels[matte_channel(name)] = matte.astype(np.float16)
    with OpenEXR.File(header, channels) as file:
        file.write(str(path))


def matte_channel(head: str) -> str:
    """The channel of a head's matte: EXR's layers are parted by dots."""
    return "matte." + re.sub(r"[^\w-]", "_", head)


def read_rgba(path: Path) -> np.ndarray:
    """A frame that was written here as (H, W, 4) uint8 sRGB, straight alpha."""
    if path.suffix == ".exr":
        import OpenEXR

        with OpenEXR.File(str(path)) as file:
            linear = file.channels()["RGBA"].pixels.astype(np.float32)
        alpha = np.rint(np.clip(linear[..., 3:], 0, 1) * 255).astype(np.uint8)
        return np.concatenate([to_srgb(linear[..., :3]), alpha], axis=2)
    return np.asarray(Image.open(path, formats=["PNG"]).convert("RGBA"))


def read_metadata(path: Path) -> dict[str, Any]:
    """What a frame that was written here says about itself; empty if it says nothing."""
    if path.suffix == ".exr":
        import OpenEXR

        with OpenEXR.File(str(path), header_only=True) as file:
            return json.loads(file.header().get(KEY, "{}"))
    with Image.open(path, formats=["PNG"]) as image:
        return json.loads(image.text.get(KEY, "{}"))
