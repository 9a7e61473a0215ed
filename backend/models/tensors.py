"""Safetensors files of strangers: headers and shapes read before any data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from backend.protocol.errors import TurboPortraitError

if TYPE_CHECKING:
    from torch import Tensor


def read_shapes(paths: Iterable[Path], code: str = "bad_weights") -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of some safetensors files; the library checks that the data is all there.

    Raises:
        TurboPortraitError: of the given code: a file is missing or damaged.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in paths:
        try:
            if not path.is_file():
                raise FileNotFoundError("it is no file")
            with safe_open(path, "pt") as file:
                shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError) as error:
            raise TurboPortraitError(code, f"{path.name} is no readable safetensors file: {error}") from error
    return shapes


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file.

    Raises:
        TurboPortraitError: bad_weights: it is missing or damaged.
    """
    from safetensors.torch import load_file

    read_shapes([path])
    return load_file(path)
