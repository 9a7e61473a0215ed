"""MediaPipe's face detectors, face mesh and iris model, converted to ONNX; see NOTICE.md."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from backend.onnx_session import OnnxNetwork

FOLDER = Path(__file__).parent


@cache
def face_model(name: str) -> OnnxNetwork:
    """A model by its file's name without the suffix, loaded once."""
    return OnnxNetwork(FOLDER / f"{name}.onnx")
