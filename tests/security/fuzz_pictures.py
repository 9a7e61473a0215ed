"""Damaged pictures: each is decoded or refused, and the process that asks is never harmed."""

from __future__ import annotations

import io
import random
from collections import Counter

import numpy as np
from PIL import Image

from backend.photos import decode_photo
from backend.protocol.errors import TurboPortraitError

from .mutations import NUMBERS, mutate

READ = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "JPEG2000", "MPO")
NEVER_READ = ("DDS", "ICO", "PCX", "PPM", "SGI", "TGA", "EPS", "PDF")
EXPECTED = ("not_an_image", "image_too_large")


def run(count: int, seed: int) -> dict[str, int]:
    """See the package."""
    chance, right = random.Random(seed), _right_files()
    outcomes: Counter[str] = Counter()
    for number in range(count):
        content = mutate(chance, chance.choice(right), right, NUMBERS)
        outcomes[_outcome(content, f"seed {seed}, picture {number}")] += 1
    return dict(outcomes)


def _outcome(content: bytes, where: str) -> str:
    try:
        decode_photo(content)
        return "read"
    except TurboPortraitError as error:
        if error.code in EXPECTED:
            return error.code
        raise AssertionError(f"{error}: {where}") from error
    except BaseException as error:
        raise AssertionError(f"{error!r}: {where}") from error


def _right_files() -> list[bytes]:
    """Small pictures of every kind that is read and of some that must never be, with all that headers may carry."""
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 256, (24, 40, 4), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = []
    for kind in (*READ, *NEVER_READ):
        options = {"exif": exif.tobytes()} if kind in ("JPEG", "PNG", "WEBP", "AVIF") else {}
        for mode in ("RGB", "RGBA", "P", "L"):
            buffer = io.BytesIO()
            try:
                noise.convert("RGB").convert(mode).save(buffer, kind, **options)
            except (OSError, ValueError):
                continue
            files.append(buffer.getvalue())
    return [*files, *_compressed_tiffs(noise), *_heic(noise)]


def _compressed_tiffs(noise: Image.Image) -> list[bytes]:
    files = []
    for compression in ("tiff_lzw", "jpeg", "tiff_adobe_deflate", "packbits", "group4"):
        buffer = io.BytesIO()
        noise.convert("1" if compression == "group4" else "RGB").save(buffer, "TIFF", compression=compression)
        files.append(buffer.getvalue())
    return files


def _heic(noise: Image.Image) -> list[bytes]:
    try:
        import pillow_heif
    except ImportError:
        return []
    buffer = io.BytesIO()
    pillow_heif.from_pillow(noise.convert("RGB")).save(buffer, quality=50)
    return [buffer.getvalue()]
