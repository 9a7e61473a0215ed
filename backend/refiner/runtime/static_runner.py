"""Running one function of tensors again and again: fixed shapes, fixed buffers, on a GPU a compiled, recorded graph."""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from backend.client.discovery import state_folder

log = logging.getLogger(__name__)

Tensors = tuple[torch.Tensor, ...]
Inputs = Mapping[str, torch.Tensor | None]

MOST_SHAPES = 16
"""Shapes whose buffers are kept: V from 1 to 8, alone and in the batch mode's batches."""

_GLIBC_TRIM_THRESHOLD, _GLIBC_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 30


@dataclass
class _Recorded:
    inputs: dict[str, torch.Tensor | None]
    outputs: Tensors
    replay: Callable[[], None]


class StaticRunner:
    """Calls a function on buffers of its own, one set for each set of input shapes.

    On a CUDA device the calls are recorded as a CUDA graph, which is replayed from then on: hundreds of small kernels
    cost the launch of one. The shapes in `compile_when` are compiled by torch.compile first, if Triton is there; the
    result is cached on disk. On another device the same code runs without recording.
    """

    def __init__(
        self,
        function: Callable[..., Tensors],
        device: torch.device,
        compile_when: Callable[..., bool] = lambda **inputs: False,
    ) -> None:
        """Both functions take tensors or None by name; `function` gives tensors, and must not wait for the device."""
        self._function = function
        self._device = device
        self._compile_when = compile_when
        self._recorded: OrderedDict[tuple, _Recorded] = OrderedDict()
        self._pool = torch.cuda.graph_pool_handle() if device.type == "cuda" else None

    def __call__(self, **inputs: torch.Tensor | None) -> Tensors:
        """The function's outputs, in buffers that the next call overwrites: copy them.

        Raises:
            torch.OutOfMemoryError: nothing is kept of these shapes then.
        """
        key = tuple((name, None if x is None else (x.shape, x.dtype)) for name, x in sorted(inputs.items()))
        if key not in self._recorded:
            while len(self._recorded) >= MOST_SHAPES:
                self._recorded.popitem(last=False)
            self._recorded[key] = self._record(inputs)
        self._recorded.move_to_end(key)
        recorded = self._recorded[key]
        for name, buffer in recorded.inputs.items():
            value = inputs[name]
            if buffer is not None and value is not None:
                buffer.copy_(value)
        recorded.replay()
        return recorded.outputs

    def forget(self) -> None:
        """Free all buffers and graphs."""
        self._recorded.clear()

    def _record(self, inputs: Inputs) -> _Recorded:
        buffers = {name: None if x is None else x.to(self._device, copy=True) for name, x in inputs.items()}
        function = self._function
        if self._compile_when(**inputs):
            function = compiled(function, buffers) or function
        if self._device.type == "cuda":
            graph, outputs = _capture(function, buffers, self._pool)
            return _Recorded(buffers, outputs, graph.replay)
        recorded = _Recorded(buffers, (), lambda: None)

        def call() -> None:
            recorded.outputs = function(**buffers)

        recorded.replay = call
        return recorded


def _capture(function: Callable[..., Tensors], buffers: Inputs, pool) -> tuple[torch.cuda.CUDAGraph, Tensors]:
    # What happens once (plans, workspaces, kernels that are loaded) must have happened before the recording.
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            function(**buffers)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        outputs = function(**buffers)
    return graph, outputs


def compiled(function: Callable[..., Tensors], inputs: Inputs) -> Callable[..., Tensors] | None:
    """The function compiled for these shapes, or None where it cannot be; the log says which and how long it took.

    What the compiler makes is kept in the user's folder, so that only the first start of a release is slow.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(state_folder() / "cache" / "inductor"))
    fast = torch.compile(function, dynamic=False, mode="max-autotune-no-cudagraphs")
    log.info("compiling the refiner for this device: the first time takes some minutes")
    started = time.monotonic()
    try:
        fast(**inputs)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        log.warning("the refiner runs without being compiled: %s", str(error).splitlines()[0][:200])
        return None
    log.info("compiled in %.0f s", time.monotonic() - started)
    return fast


def can_compile(device: torch.device) -> bool:
    """Whether compiling is worth trying: on a GPU, with Triton. On a CPU it measured no faster, and takes minutes."""
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None


def keep_freed_memory() -> None:
    """Let the C library keep what is freed for the next allocation, up to a GiB, instead of giving it back at once.

    Otherwise every large activation is mapped anew, page by page: on two CPU cores that was a fifth of the refiner's
    time. Only glibc has the switch; it holds for the process.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(_GLIBC_MMAP_THRESHOLD, _KEPT_BYTES)
    mallopt(_GLIBC_TRIM_THRESHOLD, _KEPT_BYTES)
