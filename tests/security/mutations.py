"""Damage for the fuzzers: small random edits of files that are right."""

from __future__ import annotations

import random

NUMBERS = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x00\x01",
)
"""Ends of number ranges, where readers err."""


def mutate(rng: random.Random, content: bytes, others: list[bytes], tokens: tuple[bytes, ...] = NUMBERS) -> bytes:
    """One to four edits: bytes changed, cut, doubled, swapped with another file's, or tokens of the format put in."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + int(2 ** rng.uniform(0, 9)))
        match rng.randrange(7):
            case 0:
                data[start : start + 1] = rng.randbytes(1)
            case 1:
                data[start:end] = b""
            case 2:
                data[start:start] = data[start:end]
            case 3:
                data[start:start] = rng.choice(tokens)
            case 4:
                token = rng.choice(tokens)
                data[start : start + len(token)] = token
            case 5:
                other = rng.choice(others)
                at = rng.randrange(len(other))
                data[start:end] = other[at : at + end - start]
            case 6 if rng.random() < 0.2:
                del data[start:]
    return bytes(data)
