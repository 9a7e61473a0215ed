"""The JSON that people save of MediaPipe's face landmarker: 52 categories per frame, in JavaScript's or Python's names.

A frame is a list of categories, an object of scores by name, or the landmarker's whole result (`faceBlendshapes`,
`facialTransformationMatrixes`); the file is a list of frames or an object with `frames` and maybe `fps`. See
ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import msgspec
import numpy as np

from backend.protocol import limits
from backend.protocol.arkit import ACTIONS
from backend.protocol.performance import Performance
from backend.protocol.take_rows import put_together
from flame.rotations import matrix_to_axis_angle

DEFAULT_RATE = Fraction(30)
SHAPES = ("faceBlendshapes", "face_blendshapes", "blendshapes", "categories", "scores")
MATRICES = ("facialTransformationMatrixes", "facial_transformation_matrixes", "matrix", "transformation_matrix")
IN_SECONDS = {"time": 1.0, "timestamp_ms": 1e-3, "timestampMs": 1e-3, "timestamp": None}
"""How many seconds a time's unit has; None: milliseconds where they step by whole ones."""
CENTIMETRES = 0.01


def read(text: str, source: str, rate: Fraction | None = None) -> Performance:
    """A take from the text of its JSON.

    Args:
        text: of the file.
        source: its name.
        rate: frames per second; by default what the file says, or `DEFAULT_RATE`.

    Returns:
        A performance relative to rest; where heads are told, they move from where the first one is. Frames that cannot
        be read are filled in and noted.

    Raises:
        ValueError: it is no such file, or nothing in it can be read; with the frame.
    """
    try:
        content = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    said = content.get("fps") if isinstance(content, dict) else None
    frames = content.get("frames") if isinstance(content, dict) else content
    if not isinstance(frames, list) or not frames:
        raise ValueError("it has no list of frames: it is another program's file")
    if rate is None and isinstance(said, int | float) and 1 <= said <= limits.MAX_FRAME_RATE:
        rate = Fraction(said).limit_denominator(1001)

    scores = np.full((len(frames), len(ACTIONS)), np.nan)
    matrices = np.full((len(frames), 4, 4), np.nan)
    bad: list[str] = []
    for number, frame in enumerate(frames):
        try:
            found = _scores(frame)
            if found is not None:
                scores[number] = [found.get(name, 0.0) for name in ACTIONS]
                matrices[number] = _matrix(frame)
        except ValueError as error:
            bad.append(f"Frame {number}: {error}; it is filled in.")
    if not np.isfinite(scores).any():
        raise ValueError(bad[0] if bad else "no frame has the landmarker's categories: it is another program's file")
    times = _times(frames, rate)
    head = translation = None
    if np.isfinite(matrices).any():
        lost = ~np.isfinite(matrices).all((1, 2))
        u, _, vt = np.linalg.svd(np.where(lost[:, None, None], np.eye(4), matrices)[:, :3, :3])
        head = np.where(lost[:, None], np.nan, matrix_to_axis_angle(u @ vt))
        translation = (matrices[:, :3, 3] - matrices[np.argmin(lost), :3, 3]) * CENTIMETRES
        scores[lost] = np.nan
    return put_together(source, times, dict(zip(ACTIONS, scores.T, strict=True)), head, translation, rate=rate,
                        bad=bad)  # fmt: skip


def _scores(frame: object) -> dict[str, float] | None:
    """A frame's scores by name; None where it shows no face. Raises ValueError."""
    if isinstance(frame, dict):
        inner = next((frame[key] for key in SHAPES if key in frame), None)
        if inner is not None:
            return _scores(inner)
        if not any(name in ACTIONS for name in frame):
            return None
        return {name: _number(name, value) for name, value in frame.items() if name in ACTIONS}
    if not isinstance(frame, list):
        raise ValueError(f"it is {str(frame)[:40]!r}, no list of categories")
    if not frame:
        return None
    if isinstance(frame[0], list) or (isinstance(frame[0], dict) and "categories" in frame[0]):
        # One entry per face: the first.
        return _scores(frame[0])
    found: dict[str, float] = {}
    for category in frame:
        if not isinstance(category, dict) or "score" not in category:
            raise ValueError(f"{str(category)[:40]!r} is no category with a score")
        name = category.get("categoryName") or category.get("category_name") or category.get("displayName")
        found[str(name)] = _number(name, category["score"])
    if not any(name in ACTIONS for name in found):
        raise ValueError("its categories are not the landmarker's")
    return found


def _number(name: object, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{str(name)[:40]} is {str(value)[:40]!r}, no number")
    return float(value)


def _matrix(frame: object) -> np.ndarray:
    """(4, 4) from the canonical face to the camera, nan where the frame has none. Raises ValueError."""
    inner = next((frame[key] for key in MATRICES if frame.get(key)), None) if isinstance(frame, dict) else None
    if isinstance(inner, list) and len(inner) == 1:
        inner = inner[0]
    if isinstance(inner, Mapping):
        inner = inner.get("data")
    if inner is None:
        return np.full((4, 4), np.nan)
    try:
        matrix = np.asarray(inner, float).reshape(4, 4)
    except (ValueError, TypeError) as error:
        raise ValueError("its transformation matrix is none of 16 numbers") from error
    if not np.isfinite(matrix).all():
        raise ValueError("its transformation matrix has a value that is no number")
    # JavaScript has it column by column, Python row by row: the row (0, 0, 0, 1) tells.
    return matrix.T if np.allclose(matrix[:3, 3], 0) and not np.allclose(matrix[3, :3], 0) else matrix


def _times(frames: list, rate: Fraction | None) -> np.ndarray:
    """Seconds (N,)."""
    for key, seconds in IN_SECONDS.items():
        values = [frame.get(key) if isinstance(frame, dict) else None for frame in frames]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            times = np.array(values, float)
            if seconds is None:
                seconds = 1e-3 if len(times) > 1 and np.median(np.diff(times)) >= 1 else 1.0
            return times * seconds
    return np.arange(len(frames)) / float(rate or DEFAULT_RATE)
