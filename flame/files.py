"""Head-model files: FLAME's .pkl and .npz, and our own .npz, which is FLAME's with a few keys more.

FLAME's keys: v_template (V, 3), f (F, 3), shapedirs (V, 3, B + E), posedirs (V, 3, 36), J_regressor (5, V),
kintree_table (2, 5), weights (V, 5). Ours beside them, all optional: num_shape (where expression begins in shapedirs),
shape_names, expression_names, expression_range (E, 2), vt and ft, landmark_face_index, landmark_barycentric,
landmark_weight, region_<name>.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from flame.head_model import HeadModel, LandmarkEmbedding
from flame.unpickler import ForbiddenPickleError, load_restricted

FLAME_NUM_SHAPE, FLAME_NUM_EXPRESSION = 300, 100
NUM_JOINTS = 5
REQUIRED_KEYS = ("v_template", "f", "shapedirs", "J_regressor", "kintree_table", "weights")
MAX_FILE_BYTES = 1 << 30


class HeadModelError(ValueError):
    """A file is no head model; the message says what to do."""


def default_head_path() -> Path:
    """The open head that ships with the project."""
    return Path(str(resources.files("flame") / "assets" / "open_head.npz"))


def load_head_model(path: str | Path | None = None) -> HeadModel:
    """Load a head model in FLAME's format.

    Args:
        path: a .npz or .pkl file (FLAME 2020, 2023, 2023 Open, or ours); None for the open head that ships.

    Raises:
        HeadModelError: the file is missing, unreadable, asks for forbidden code, or is no FLAME model.
    """
    path = default_head_path() if path is None else Path(path)
    try:
        stat = path.stat()
    except OSError:
        raise HeadModelError(f"there is no head model file at {path}") from None
    return _load(path, stat.st_mtime_ns, stat.st_size)


@cache
def _load(path: Path, modified: int, size: int) -> HeadModel:
    if size > MAX_FILE_BYTES:
        raise HeadModelError(f"{path.name} has {size} bytes, more than any head model; choose a FLAME .pkl or .npz")
    content = path.read_bytes()
    arrays = _read_arrays(path, content)
    try:
        return head_model_from_arrays(arrays, path.stem, hashlib.sha256(content).hexdigest())
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, HeadModelError):
            raise
        raise HeadModelError(f"{path.name} is no FLAME model: {error}") from error


def _read_arrays(path: Path, content: bytes) -> dict[str, Any]:
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        return load_restricted(io.BytesIO(content))
    except ForbiddenPickleError as error:
        raise HeadModelError(f"{path.name}: {error}") from error
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        KeyError,
        AttributeError,
        ImportError,
        IndexError,
        TypeError,
        OverflowError,
        MemoryError,
        zipfile.BadZipFile,
    ) as error:
        raise HeadModelError(f"{path.name} cannot be read as a FLAME .pkl or .npz: {error}") from error


def head_model_from_arrays(arrays: dict[str, Any], name: str, checksum: str) -> HeadModel:
    """Check a head model's arrays (keys as this module's docstring says) and put them into our layout.

    Raises:
        HeadModelError: a key is missing, or shapes or indices do not fit together.
    """
    missing = [
        k for k in ("v_template", "f", "shapedirs", "J_regressor", "kintree_table", "weights") if k not in arrays
    ]
    if missing:
        raise HeadModelError(f"{name} is no FLAME model: {', '.join(missing)} missing")
    v_template = np.ascontiguousarray(arrays["v_template"], np.float32)
    V = len(v_template)
    shapedirs = _shaped(arrays["shapedirs"], (V, 3, None), np.float32, "shapedirs")
    num_shape = _num_shape(arrays, shapedirs.shape[2], name)
    num_expression = shapedirs.shape[2] - num_shape
    # A file of ours without correctives leaves the key out.
    posedirs = np.asarray(arrays.get("posedirs", np.zeros((V, 3, 36), np.float32)), np.float32)
    parents = np.asarray(arrays["kintree_table"])[0].astype(np.int64)
    parents[0] = -1
    if len(parents) != NUM_JOINTS or (parents[1:] >= np.arange(1, NUM_JOINTS)).any() or (parents[1:] < 0).any():
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
    if not all(
        np.isfinite(a).all() for a in (model.v_template, model.shapedirs, model.expressiondirs, model.lbs_weights)
    ):
        raise HeadModelError(f"{name} holds values that are not finite")
    return model


def _num_shape(arrays: dict[str, Any], total: int, name: str) -> int:
    if "num_shape" in arrays:
        return int(arrays["num_shape"])
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
    if len(names) != count:
        raise HeadModelError(f"{key} has {len(names)} names for {count} components")
    return names


def _landmarks(arrays: dict[str, Any], num_faces: int) -> LandmarkEmbedding | None:
    if "landmark_face_index" not in arrays:
        return None
    face_index = np.asarray(arrays["landmark_face_index"], np.int32)
    if face_index.size and (face_index.min() < 0 or face_index.max() >= num_faces):
        raise HeadModelError(f"landmark_face_index points beyond the {num_faces} triangles")
    return LandmarkEmbedding(
        face_index,
        _shaped(arrays["landmark_barycentric"], (len(face_index), 3), np.float32, "landmark_barycentric"),
        _shaped(arrays["landmark_weight"], (len(face_index),), np.float32, "landmark_weight"),
    )


def _regions(arrays: dict[str, Any], weights: np.ndarray) -> dict[str, np.ndarray]:
    regions = {k.removeprefix("region_"): np.asarray(v, np.int32) for k, v in arrays.items() if k.startswith("region_")}
    if any(v.size and (v.min() < 0 or v.max() >= len(weights)) for v in regions.values()):
        raise HeadModelError("a region points beyond the vertices")
    # The eyeballs are the only vertices that an eye joint turns.
    for name, joint in (("eye_left", 3), ("eye_right", 4)):
        regions.setdefault(name, np.flatnonzero(weights[:, joint] > 0.5).astype(np.int32))
    return regions
