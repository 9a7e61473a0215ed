"""What numba compiles at its first use in the default way, compiled at once, so that the first portrait is not slow.

Numba keeps what it has compiled beside the sources, so this is done once. The types are those that a registration and a
render call with; `tests/pipeline/test_ahead.py` holds that there are no others.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

from numba.core import sigutils
from numba.core.dispatcher import Dispatcher

TYPES: dict[str, dict[str, tuple[str, ...]]] = {
    "backend.geometry.rasterizer": {
        "_fill": ("(float32[:,::1], int32[:,::1], int64, float32[:,::1], float32[:,::1], int32[:,::1])",),
        "_resolve": ("(float32[:,::1], int32[:,::1], int32[:,::1])",),
        "_interpolate": ("(int32[:,::1], float32[:,:,::1], int32[:,::1], float32[:,::1])",),
    },
    "backend.avatars.bust.portrait": {
        "_last_inside": ("(boolean[:,::1], float64[:,::1], float64[:,::1], float64)",),
    },
    "backend.avatars.bust.shading": {
        "_face_alphas": (
            "(float32[:,::1], int32[:,::1], float32[:,::1], float32[::1], float32[::1])",
            "(float32[:,::1], int32[:,::1], uint8[:,::1], uint8[::1], uint8[::1])",
        ),
        "facing": ("(float32[:,::1], int32[:,::1], float32[::1])",),
        "_shade": (
            "(UniTuple(int32[:,::1], 3), UniTuple(float32[:,:,::1], 3), UniTuple(float32[:,::1], 3), int32[:,::1], "
            "int32[:,::1], int32[:,::1], int32[:,::1], float32[:,::1], float32[:,::1], uint8[:,:,::1], "
            "uint8[:,:,::1], int64)",
        ),
    },
}
"""By module and function the types of its arguments, in numba's notation."""


def compile_all(report: Callable[[int, int], None] = lambda done, count: None) -> None:
    """Compile all that is not kept from an earlier time; `report` is told how many of how many are done."""
    wanted = [(function, types) for function, known in functions() for types in known]
    for number, (function, types) in enumerate(wanted):
        report(number, len(wanted))
        # As types: what is compiled for a string is kept under that string, where no call looks.
        function.compile(sigutils.normalize_signature(types)[0])
    report(len(wanted), len(wanted))


def functions() -> Iterator[tuple[Dispatcher, tuple[str, ...]]]:
    """Each function with its types."""
    for module, known in TYPES.items():
        for name, types in known.items():
            yield getattr(importlib.import_module(module), name), types
