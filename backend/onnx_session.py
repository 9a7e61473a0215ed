"""Networks in ONNX files, run by ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backend.protocol.errors import TurboPortraitError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def threads() -> int:
    """How many a network may use: `OMP_NUM_THREADS`, as torch and numba read it, or as many cores as there are."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class OnnxNetwork:
    """A network with named inputs and outputs. Calls from several threads are safe.

    Args:
        path: of the ONNX file. Only its own graph is run: it names no code and no other file.
        keep_memory: hold what a run needed for the next one, which is an eighth faster where much is needed.

    Raises:
        TurboPortraitError: `bad_weights`: the file is missing, damaged or of another format.
    """

    def __init__(self, path: Path, keep_memory: bool = False) -> None:
        self._session = _session(path, keep_memory)
        self.outputs = tuple(output.name for output in self._session.get_outputs())
        self.inputs = tuple(value.name for value in self._session.get_inputs())

    def __call__(self, release: bool = False, /, **inputs: np.ndarray) -> Mapping[str, np.ndarray]:
        """Outputs by name, of inputs by name; with `release` memory is given back afterwards, even if it is kept."""
        options = None
        if release:
            import onnxruntime

            options = onnxruntime.RunOptions()
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        return dict(zip(self.outputs, self._session.run(None, inputs, options), strict=True))


def _session(path: Path, keep_memory: bool) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    # Threads that spin while they wait take the cores of the rasteriser and of Blender.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = keep_memory
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common class but this
        raise TurboPortraitError("bad_weights", f"{path.name}: {str(error)[:300]}") from error
