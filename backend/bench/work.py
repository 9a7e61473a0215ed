"""How much a computation is, and what the device makes of it: operations, matrix rate, seconds, peak memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

from backend.refiner import Refiner
from backend.refiner.network.autoencoder import decode, reduction
from backend.refiner.network.images import CHANNELS, NetworkViews


def refining_flop(folder: Path, views: int, size: int, references: int = 1) -> dict[str, float]:
    """Floating-point operations (an addition and a multiplication are two) of one evaluation, by stage and "total".

    Counted on tensors without contents, so nothing is computed; what our form spares is not counted.
    """
    with torch.device("meta"), torch.inference_mode():
        refiner = Refiner.from_config(folder)
        latent = size // reduction(refiner.vae)
        channels = refiner.unet.config.in_channels
        noisy = torch.empty(1, views, channels, latent, latent)
        stages: dict[str, Callable[[], Any]] = {
            "encode": lambda: refiner.encode_images(NetworkViews.split(torch.empty(views, CHANNELS, size, size))),
            "unet": lambda: refiner.denoise(noisy, torch.empty(1, references, channels, latent, latent)),
        }
        features = stages["encode"]()[1]
        stages["decode"] = lambda: decode(refiner.vae, refiner.pictured(noisy)[0], refiner.skips, features)
        counts = {}
        for name, stage in stages.items():
            with FlopCounterMode(display=False) as counter:
                stage()
            counts[name] = float(counter.get_total_flops())
    return counts | {"total": sum(counts.values())}


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP per second of large square matrix products, the best of some."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    torch.mm(a, b)
    best = min(seconds_of(lambda: torch.mm(a, b), device) for _ in range(8))
    return 2 * side**3 / best


def seconds_of(call: Callable[[], object], device: torch.device) -> float:
    """How long one call takes until the device is done with it."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    started = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - started


class PeakMemory:
    """The most memory held while a `with` block ran, in bytes, once it is over.

    On a GPU what torch's allocator had reserved (graphs keep it); else the process's resident set, weights and
    libraries included.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.bytes = 0

    def __enter__(self) -> PeakMemory:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        else:
            # Linux: 5 sets the mark of the largest resident set back to the present one.
            Path("/proc/self/clear_refs").write_text("5")
        return self

    def __exit__(self, *_: object) -> None:
        if self._device.type == "cuda":
            self.bytes = torch.cuda.max_memory_reserved()
            return
        lines = Path("/proc/self/status").read_text().splitlines()
        peaks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
        self.bytes = peaks[0] if peaks else psutil.Process().memory_info().rss
