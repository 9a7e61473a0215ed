"""Which runtime this environment has: the light one, or torch as well, and where that may compute."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import sys

FULL = ("torch", "diffusers", "transformers", "peft")
"""What the full runtime has more: GPUs, the presets on Stable Diffusion, GPAvatar, training."""


def has_torch() -> bool:
    """Whether torch and what the refiner builds on it are installed; nothing is imported."""
    return not missing_of_full()


def missing_of_full() -> tuple[str, ...]:
    """The packages that the full runtime lacks here."""
    return tuple(name for name in FULL if importlib.util.find_spec(name) is None)


def best_device() -> str:
    """ "cuda" if torch can compute on a GPU, else "cpu". Torch is imported only where that may be so."""
    if not has_torch() or importlib.metadata.version("torch").endswith("+cpu"):
        return "cpu"
    if not ctypes.util.find_library("nvcuda" if sys.platform == "win32" else "cuda"):
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
