"""How measured figures are shown, in all tables alike."""

from __future__ import annotations

_DIGITS = {"L2": 4, "PSNR": 2, "FID": 1}
"""Behind the point; three of all other measures."""


def shown(measure: str, value: float) -> str:
    """A measure's value."""
    return f"{value:.{_digits(measure)}f}"


def signed(measure: str, value: float) -> str:
    """A difference of a measure's values, with its sign."""
    return f"{as_shown(measure, value):+.{_digits(measure)}f}"


def as_shown(measure: str, value: float) -> float:
    """The value that is shown, to be compared; never below zero where a zero is shown."""
    return round(value, _digits(measure)) + 0.0


def _digits(measure: str) -> int:
    return _DIGITS.get(measure, 3)
