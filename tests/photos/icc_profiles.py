"""ICC profiles (ICC.1:2010, version 2) of well-known colour spaces, written from their published numbers."""

from __future__ import annotations

import struct

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
# Columns: the primaries in XYZ, adapted to D50. Then the exponent.
DISPLAY_P3 = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]]), 2.2
ADOBE_RGB = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]]), 2.19921875
PROPHOTO = np.array([[0.7977, 0.1352, 0.0313], [0.2880, 0.7119, 0.0001], [0.0, 0.0, 0.8249]]), 1.8
SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])


def rgb_profile(primaries: np.ndarray, exponent: float) -> bytes:
    """A display's profile: three primaries, one exponent."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(exponent * 256)) + bytes(2)
    tags = {name: _xyz(primaries[:, k]) for k, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    return _profile(b"mntrRGB XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def cmyk_profile(paper: tuple[float, float, float], ink: tuple[float, float, float]) -> bytes:
    """A press on which any ink at all gives one CIELAB colour, and bare paper another."""
    corners = np.tile(ink, (16, 1))
    corners[0] = paper
    table = np.rint(corners * [2.55, 1, 1] + np.array([0, 128, 128])).astype(np.uint8).tobytes()
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * np.eye(3, dtype=int).ravel()))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + 4 * ramp + table + 3 * ramp
    return _profile(b"prtrCMYKLab ", dict.fromkeys((b"A2B0", b"A2B1", b"A2B2"), lut))


def encoded(srgb: np.ndarray, primaries: np.ndarray, exponent: float) -> np.ndarray:
    """sRGB (H, W, 3) uint8 as the same colours in another space, uint8."""
    value = srgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    other = linear @ SRGB.T @ np.linalg.inv(primaries).T
    return np.rint(255 * np.clip(other, 0, 1) ** (1 / exponent)).astype(np.uint8)


def _xyz(value: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *np.rint(65536 * value).astype(int))


def _profile(kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"a test's own\0"
    described = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": described, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(D50), **tags}
    offset, table, data = 132 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", offset + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    size = offset + len(data)
    header = struct.pack(">I", size) + bytes(4) + struct.pack(">I", 0x02400000) + kind + bytes(12) + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3i", *np.rint(65536 * D50).astype(int))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data
