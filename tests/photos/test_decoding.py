"""Picture files as users have them: every kind, and those that are refused."""

import io
import os
import re
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest
import skimage.data
from PIL import Image
from pillow_heif import from_pillow, register_heif_opener

from backend.photos import PHOTO_FORMATS, decode_photo, decoder, read_photo, start_decoder
from backend.protocol.errors import TurboPortraitError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()


def encode(image, kind: str = "PNG", **options) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def refused(data: bytes, code: str = "not_an_image") -> str:
    with pytest.raises(TurboPortraitError) as caught:
        decode_photo(data)
    assert caught.value.code == code
    return caught.value.sentence


KINDS = {
    "PNG": {},
    "JPEG": {"quality": 95},
    "MPO": {"quality": 95},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
    "GIF": {},
    "AVIF": {"quality": 95},
    "JPEG2000": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_photo_is_read(astronaut, kind):
    small = np.ascontiguousarray(astronaut[:128, :200])
    photo = decode_photo(encode(small, kind, **KINDS[kind]))
    assert photo.alpha is None
    assert np.abs(photo.rgb.astype(int) - small).mean() < 6


def test_a_heic_photo_is_read(astronaut):
    buffer = io.BytesIO()
    from_pillow(Image.fromarray(astronaut)).save(buffer, quality=90)
    assert np.abs(decode_photo(buffer.getvalue()).rgb.astype(int) - astronaut).mean() < 4


def test_blenders_file_browser_shows_what_is_read():
    shown = re.search(r'IMAGE_FILES = "(.*)"', (ROOT / "blender_addon" / "ui" / "portrait_operators.py").read_text())[1]
    register_heif_opener()
    Image.init()
    kinds = Image.registered_extensions()
    assert {kinds[suffix.removeprefix("*")] for suffix in shown.split(";")} == set(PHOTO_FORMATS)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n"
"""Ghostscript never ends it."""


@pytest.mark.parametrize("kind", ["DDS", "ICO", "PCX", "PPM", "SGI", "TGA", "ICNS", "IM", "PDF"])
def test_other_formats_are_refused_though_pillow_knows_them(kind):
    refused(encode(Image.new("RGB", (64, 64)), kind))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\xff\xd8\xff",
        b"GIF89a",
        bytes(4096),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        EPS,
        b"BLP2" + b"\x01\0\0\0\x03\0\0\0" + b"\xff" * 200,
        b"DDS " + b"\x7c\0\0\0" + b"\xff" * 120,
        b"\0\0\0\x20ftypavif\0\0\0\0avifmif1" + b"\xff" * 200,
    ],
)
def test_what_is_no_picture(content):
    refused(content)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_file(astronaut, kind):
    refused(encode(astronaut, kind, **KINDS[kind])[:200])


def test_ghostscript_is_never_started(tmp_path, monkeypatch):
    mark = tmp_path / "ran"
    for name in ("gs", "gswin64c", "gswin32c"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\ntouch {mark}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    decoder._decoder.close()
    refused(EPS)
    assert not mark.exists()


def huge_png(width: int, height: int) -> bytes:
    """A PNG that declares its size and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(11_000, 11_000), (60_000, 60_000), (2_000_000, 100), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_before_they_are_decoded(size):
    assert f"{size[0]} x {size[1]}" in refused(huge_png(*size), "image_too_large")


def test_too_many_bytes():
    refused(bytes((64 << 20) + 1), "image_too_large")


def test_a_picture_that_takes_too_long_is_ended_and_the_next_is_read(astronaut, monkeypatch):
    slow = encode(Image.new("RGB", (9000, 9000)), "JPEG", progressive=True)
    start_decoder()
    monkeypatch.setattr(decoder, "MAX_SECONDS", 0.05)
    refused(slow)
    monkeypatch.undo()
    np.testing.assert_array_equal(decode_photo(encode(astronaut)).rgb, astronaut)


def test_a_picture_that_takes_too_much_memory_is_refused(astronaut, monkeypatch):
    decoder._decoder.close()
    monkeypatch.setattr(decoder, "MAX_MEMORY", 400 << 20)
    assert decode_photo(encode(astronaut)).rgb.shape == (512, 512, 3)
    if sys.platform == "linux":
        refused(encode(Image.new("RGB", (9900, 9900)), compress_level=1), "image_too_large")
    decoder._decoder.close()


def test_a_picture_that_crashes_its_reader_harms_nobody(astronaut):
    start_decoder()
    done = threading.Event()

    def crash():
        while not done.wait(0.002):
            if (process := decoder._decoder._process) is not None:
                process.kill()

    killer = threading.Thread(target=crash)
    killer.start()
    try:
        refused(encode(Image.new("RGB", (6000, 6000))))
    finally:
        done.set()
        killer.join()
    np.testing.assert_array_equal(decode_photo(encode(astronaut)).rgb, astronaut)


def test_the_process_is_isolated_and_ends_with_its_owner(tmp_path):
    for name in ("PIL", "struct", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    script = (
        f"import os, sys; from backend.photos import decoder, start_decoder; os.chdir({str(tmp_path)!r});"
        f"os.environ['PYTHONPATH'] = {str(tmp_path)!r}; start_decoder();"
        "print(decoder._decoder._process.pid, flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    child = psutil.Process(int(owner.stdout.readline()))
    owner.kill()
    owner.communicate()
    child.wait(60)
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in folders")
def test_only_ordinary_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "endless.jpg").symlink_to("/dev/zero")
    for path in (tmp_path, tmp_path / "pipe.jpg", tmp_path / "endless.jpg", tmp_path / "missing.jpg"):
        with pytest.raises(TurboPortraitError, match="not_an_image"):
            read_photo(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(astronaut, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = np.ascontiguousarray(astronaut[:300])
    # How a camera held so stores it (EXIF 2.3, 4.6.4): its rows and columns, by their visual sides.
    stored = {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.swapaxes(0, 1),
        6: image.swapaxes(0, 1)[::-1],
        7: image.swapaxes(0, 1)[::-1, ::-1],
        8: image.swapaxes(0, 1)[:, ::-1],
    }[orientation]
    decoded = decode_photo(encode(np.ascontiguousarray(stored), "JPEG", exif=exif, quality=95)).rgb
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).mean() < 4


def test_a_damaged_exif_does_not_spoil_the_picture(astronaut):
    photo = decode_photo(encode(astronaut, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", quality=95))
    assert np.abs(photo.rgb.astype(int) - astronaut).mean() < 4


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1", "I;16"])
def test_every_mode_becomes_rgb(astronaut, mode):
    grey = Image.fromarray(astronaut).convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) << 8)
    else:
        image = Image.fromarray(astronaut).convert(mode)
    pixels = decode_photo(encode(image, "TIFF")).rgb
    assert pixels.shape == (512, 512, 3)
    assert abs(pixels.mean() - np.asarray(grey).mean()) < 20


def test_what_is_transparent_becomes_white_and_is_told(astronaut):
    alpha = np.full((512, 512, 1), 255, np.uint8)
    alpha[:, :100] = 0
    photo = decode_photo(encode(np.concatenate([astronaut, alpha], 2)))
    assert (photo.rgb[:, :100] == 255).all()
    np.testing.assert_array_equal(photo.rgb[:, 100:], astronaut[:, 100:])
    np.testing.assert_array_equal(photo.alpha, alpha[..., 0])


def test_a_large_photo_is_reduced(astronaut):
    photo = decode_photo(encode(Image.fromarray(astronaut).resize((5000, 2500)), "JPEG"))
    assert photo.rgb.shape[1] <= 4096
    assert photo.rgb.shape[1] == 2 * photo.rgb.shape[0]
