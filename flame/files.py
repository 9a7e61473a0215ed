"""Head-model files: FLAME's .pkl and .npz, and our own .npz, which is FLAME's with a few keys more.

FLAME's keys: v_template (V, 3), f (F, 3), shapedirs (V, 3, B + E), posedirs (V, 3, 36), J_regressor (5, V),
kintree_table (2, 5), weights (V, 5). Ours beside them, all optional: num_shape (where expression begins in shapedirs),
shape_names, expression_names, expression_range (E, 2), vt and ft, landmark_face_index, landmark_barycentric,
landmark_weight, region_<name>.
"""

from __future__ import annotations

import hashlib
import stat
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from flame.head_model import HeadModel, LandmarkEmbedding
from flame.limits import MAX_COORDINATE, MAX_FILE_BYTES, MAX_NAME
from flame.npz import NpzError, load_npz
from flame.pickled_arrays import load_arrays
from flame.unpickler import HeadPickleError

FLAME_NUM_SHAPE, FLAME_NUM_EXPRESSION = 300, 100
NUM_JOINTS = 5
REQUIRED_KEYS = ("v_template", "f", "shapedirs", "J_regressor", "kintree_table", "weights")
OPTIONAL_KEYS = (
    *("posedirs", "num_shape", "shape_names", "expression_names", "expression_range", "vt", "ft"),
    *("landmark_face_index", "landmark_barycentric", "landmark_weight"),
)
REGION = "region_"


class HeadModelError(ValueError):
    """A file is no head model; the message says what to do."""


def default_head_path() -> Path:
    """The open head that ships with the project."""
    return Path(__file__).parent / "assets" / "open_head.npz"


def load_head_model(path: str | Path | None = None) -> HeadModel:
    """Load a head model in FLAME's format.

    Args:
        path: a .npz or .pkl file (FLAME 2020, 2023, 2023 Open, or ours); None for the open head that ships.

    Raises:
        HeadModelError: the file is missing, unreadable, asks for forbidden code, or is no FLAME model.
    """
    path = default_head_path() if path is None else Path(path)
    try:
        state = path.stat()
    except OSError:
        raise HeadModelError(f"there is no head model file at {path}") from None
    return _load(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _load(path: Path, modified: int, size: int) -> HeadModel:
    content = read_file(path)
    return head_model_from_arrays(read_arrays(path.name, content), path.stem, hashlib.sha256(content).hexdigest())


def read_file(path: Path) -> bytes:
    """The bytes of a head-model file; folders, pipes and devices are not read.

    Raises:
        HeadModelError: there is no such file, it cannot be read, or has more bytes than any head model.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise HeadModelError(f"{path.name} is no file; choose a FLAME .pkl or .npz")
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, MemoryError) as error:
        raise HeadModelError(f"there is no head model file at {path} that can be read: {error}") from error
    if len(content) > MAX_FILE_BYTES:
        raise HeadModelError(f"{path.name} has more bytes than any head model; choose a FLAME .pkl or .npz")
    return content


def read_arrays(name: str, content: bytes) -> dict[str, Any]:
    """The arrays, texts and numbers of a .pkl or .npz file, by key.

    Raises:
        HeadModelError: it is neither, damaged, or asks for code.
    """
    try:
        return load_npz(content) if content[:2] == b"PK" else load_arrays(content)
    except (NpzError, HeadPickleError) as error:
        raise HeadModelError(f"{name} cannot be read as a FLAME .pkl or .npz: {error}") from error


def head_model_from_arrays(arrays: dict[str, Any], name: str, checksum: str) -> HeadModel:
    """Check a head model's arrays (keys as this module's docstring says) and put them into our layout.

    Raises:
        HeadModelError: a key is missing, or shapes, indices or values do not fit together.
    """
    try:
        # What is not finite is found below; numpy would warn of it first.
        with np.errstate(all="ignore"):
            return _head_model(arrays, name, checksum)
    except HeadModelError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, MemoryError) as error:
        raise HeadModelError(f"{name} is no FLAME model: {str(error)[:200]}") from error


def _head_model(arrays: dict[str, Any], name: str, checksum: str) -> HeadModel:
    missing = [key for key in REQUIRED_KEYS if key not in arrays]
    if missing:
        raise HeadModelError(f"{name} is no FLAME model: {', '.join(missing)} missing")
    v_template = np.ascontiguousarray(arrays["v_template"], np.float32)
    V = len(v_template)
    shapedirs = _shaped(arrays["shapedirs"], (V, 3, None), np.float32, "shapedirs")
    num_shape = _num_shape(arrays, shapedirs.shape[2], name)
    num_expression = shapedirs.shape[2] - num_shape
    # A file of ours without correctives leaves the key out.
    posedirs = np.asarray(arrays.get("posedirs", np.zeros((V, 3, 36), np.float32)), np.float32)
    parents = _shaped(arrays["kintree_table"], (2, NUM_JOINTS), np.int64, "kintree_table")[0]
    parents[0] = -1
    if (parents[1:] >= np.arange(1, NUM_JOINTS)).any() or (parents[1:] < 0).any():
        raise HeadModelError(f"{name}: kintree_table {parents.tolist()} is not FLAME's chain of {NUM_JOINTS} joints")
    weights = _shaped(arrays["weights"], (V, NUM_JOINTS), np.float32, "weights")
    faces = _indices(arrays["f"], V, "f")
    vt, ft = arrays.get("vt"), arrays.get("ft")
    if vt is not None and ft is not None:
        vt = _shaped(vt, (None, 2), np.float32, "vt")
        ft = _indices(ft, len(vt), "ft")
    model = HeadModel(
        name=name,
        checksum=checksum,
        v_template=_shaped(v_template, (V, 3), np.float32, "v_template"),
        faces=faces,
        shapedirs=np.ascontiguousarray(shapedirs[:, :, :num_shape]),
        expressiondirs=np.ascontiguousarray(shapedirs[:, :, num_shape:]),
        posedirs=np.ascontiguousarray(_shaped(posedirs, (V, 3, 36), np.float32, "posedirs").reshape(V * 3, 36).T),
        J_regressor=_shaped(arrays["J_regressor"], (NUM_JOINTS, V), np.float32, "J_regressor"),
        parents=parents.astype(np.int32),
        lbs_weights=weights / weights.sum(1, keepdims=True),
        shape_names=_names(arrays, "shape_names", "shape", num_shape),
        expression_names=_names(arrays, "expression_names", "expression", num_expression),
        expression_range=_shaped(
            arrays.get("expression_range", np.tile([-3.0, 3.0], (num_expression, 1))),
            (num_expression, 2),
            np.float32,
            "expression_range",
        ),
        vt=vt if ft is not None else None,
        ft=ft if vt is not None else None,
        landmarks=_landmarks(arrays, len(faces)),
        regions=_regions(arrays, weights),
    )
    for what in ("v_template", "shapedirs", "expressiondirs", "posedirs", "J_regressor", "lbs_weights", "vt"):
        values = getattr(model, what)
        if values is not None and not (np.abs(values) <= MAX_COORDINATE).all():
            raise HeadModelError(f"{name}: {what} holds values that are not finite, or far too large")
    return model


def _num_shape(arrays: dict[str, Any], total: int, name: str) -> int:
    if "num_shape" in arrays:
        count = int(arrays["num_shape"])
        if not 0 <= count <= total:
            raise HeadModelError(f"{name}: num_shape is {count}, but there are {total} components")
        return count
    if total == FLAME_NUM_SHAPE + FLAME_NUM_EXPRESSION:
        return FLAME_NUM_SHAPE
    raise HeadModelError(
        f"{name}: shapedirs has {total} components; FLAME has {FLAME_NUM_SHAPE} + {FLAME_NUM_EXPRESSION}. "
        "Another split needs the key num_shape"
    )


def _shaped(array: Any, shape: tuple[int | None, ...], dtype: type, what: str) -> np.ndarray:
    array = np.ascontiguousarray(array, dtype)
    if array.ndim != len(shape) or any(n is not None and n != m for n, m in zip(shape, array.shape, strict=True)):
        raise HeadModelError(f"{what} has shape {array.shape}, expected {shape}")
    return array


def _indices(array: Any, limit: int, what: str) -> np.ndarray:
    array = _shaped(array, (None, 3), np.int64, what)
    if array.size and (array.min() < 0 or array.max() >= limit):
        raise HeadModelError(f"{what} points beyond its {limit} entries")
    return array.astype(np.int32)


def _names(arrays: dict[str, Any], key: str, prefix: str, count: int) -> tuple[str, ...]:
    names = tuple(str(n) for n in arrays[key]) if key in arrays else tuple(f"{prefix}_{i:03d}" for i in range(count))
    if len(names) != count or any(len(name) > MAX_NAME for name in names):
        raise HeadModelError(f"{key} has {len(names)} names for {count} components, or very long ones")
    return names


def _landmarks(arrays: dict[str, Any], num_faces: int) -> LandmarkEmbedding | None:
    if "landmark_face_index" not in arrays:
        return None
    face_index = _shaped(arrays["landmark_face_index"], (None,), np.int32, "landmark_face_index")
    if face_index.size and (face_index.min() < 0 or face_index.max() >= num_faces):
        raise HeadModelError(f"landmark_face_index points beyond the {num_faces} triangles")
    return LandmarkEmbedding(
        face_index,
        _shaped(arrays["landmark_barycentric"], (len(face_index), 3), np.float32, "landmark_barycentric"),
        _shaped(arrays["landmark_weight"], (len(face_index),), np.float32, "landmark_weight"),
    )


def _regions(arrays: dict[str, Any], weights: np.ndarray) -> dict[str, np.ndarray]:
    regions = {}
    for key in arrays:
        if key.startswith(REGION) and len(key) <= MAX_NAME:
            vertices = _shaped(arrays[key], (None,), np.int64, key)
            if vertices.size and (vertices.min() < 0 or vertices.max() >= len(weights)):
                raise HeadModelError(f"{key} points beyond the vertices")
            regions[key.removeprefix(REGION)] = vertices.astype(np.int32)
    # The eyeballs are the only vertices that an eye joint turns.
    for name, joint in (("eye_left", 3), ("eye_right", 4)):
        regions.setdefault(name, np.flatnonzero(weights[:, joint] > 0.5).astype(np.int32))
    return regions
