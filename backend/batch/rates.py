"""Frame rates as the fractions that they are."""

from __future__ import annotations

import math
import re
from fractions import Fraction

NTSC = (24, 30, 48, 60, 120)
"""Nominal rates that also exist as N * 1000 / 1001."""
_WRITTEN = re.compile(r"\d{1,9}(\.\d{1,9})?|\d{1,9}/0*[1-9]\d{0,8}", re.ASCII)
"""Nothing longer is made a number of: 1e99999999 would take all of the memory."""


def exact_rate(value: float | str | Fraction) -> Fraction:
    """A frame rate as a fraction: 23.976 and "24000/1001" are the same, "25" is 25.

    Raises:
        ValueError: not a number between 1 and 1000.
    """
    if isinstance(value, str):
        if not _WRITTEN.fullmatch(value.strip()):
            raise ValueError(f"{value[:40]!r} is no frame rate")
        rate = Fraction(value)
    elif isinstance(value, Fraction):
        rate = value
    else:
        rate = Fraction(float(value) if math.isfinite(value) else 0).limit_denominator(100_000)
    if not 1 <= rate <= 1000:
        raise ValueError(f"{value} frames per second")
    for nominal in NTSC:
        if abs(rate - Fraction(nominal * 1000, 1001)) < Fraction(5, 1000):
            return Fraction(nominal * 1000, 1001)
    nearest = round(rate)
    return Fraction(nearest) if abs(rate - nearest) < Fraction(1, 1000) else rate


def rate_text(rate: Fraction) -> str:
    """As people write it: 25, 23.976."""
    return str(rate.numerator) if rate.denominator == 1 else f"{float(rate):.3f}"
