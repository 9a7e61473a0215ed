"""The arrays of a FLAME pickle: numpy's, scipy.sparse's and chumpy's, built from parts that are checked first.

Their pickled forms: numpy's `ndarray.__reduce__` and `dtype.__reduce__`; scipy.sparse matrices and chumpy's `Ch` and
`Select` by the names of their attributes. Neither scipy nor chumpy need be installed.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from flame.limits import MAX_ARRAY_BYTES, MAX_DIMENSIONS
from flame.unpickler import Built, HeadPickleError, Name, read_pickle

_MAX_NESTING = 8
_NUMBERS = frozenset(kind + size for kind in "fiu" for size in "1248") - {"f1"} | {"b1"}
_ARRAY, _DTYPE = ("numpy", "ndarray"), ("numpy", "dtype")
_CORES = ("numpy.core", "numpy._core")
_RECONSTRUCT = {(f"{core}.multiarray", "_reconstruct") for core in _CORES}
_SCALAR = {(f"{core}.multiarray", "scalar") for core in _CORES}
_FROMBUFFER = {(f"{core}.numeric", "_frombuffer") for core in _CORES}
_REBUILD = {("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")}
_ENCODE = ("_codecs", "encode")
"""By which protocols before 3 write bytes."""
_CH, _SELECT = ("chumpy.ch", "Ch"), ("chumpy.reordering", "Select")
_SPARSE = {
    (f"scipy.sparse.{dot}{layout}", f"{layout}_{kind}"): layout
    for layout in ("csc", "csr", "coo")
    for kind in ("matrix", "array")
    for dot in ("", "_")
}
_ALLOWED = {
    *(_ARRAY, _DTYPE, _ENCODE, _CH, _SELECT),
    *_RECONSTRUCT,
    *_SCALAR,
    *_FROMBUFFER,
    *_REBUILD,
    *_SPARSE,
    # chumpy keeps a set of names beside its array.
    *((module, name) for module in ("__builtin__", "builtins") for name in ("object", "set")),
}


def load_arrays(content: bytes) -> dict[str, Any]:
    """Read a FLAME pickle (Python 2 or 3).

    Returns:
        Its arrays, texts and numbers, and its lists of those as arrays, by key. What is of another kind is left out.

    Raises:
        HeadPickleError: it is damaged, asks for anything but numpy, scipy.sparse and chumpy arrays, or holds no
            dictionary.
    """
    found = read_pickle(content, lambda name: _key(name) in _ALLOWED)
    if not isinstance(found, dict):
        raise HeadPickleError("this pickle holds no dictionary of arrays, so it is no FLAME file")
    builder = _Builder()
    try:
        values = {key: builder.value(value) for key, value in found.items()}
    except HeadPickleError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise HeadPickleError(f"it has a damaged array: {str(error)[:200]}") from error
    return {key: value for key, value in values.items() if value is not None}


def _key(name: Name) -> tuple[str, str]:
    return name.module, name.name


class _Builder:
    """Makes arrays; all together have at most `MAX_ARRAY_BYTES`."""

    def __init__(self) -> None:
        self._left = MAX_ARRAY_BYTES

    def value(self, value: Any) -> Any:
        """A text or number as it is, what describes an array as that; None for anything else."""
        if isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list | tuple):
            return self._of_list(value)
        if not isinstance(value, Built) or _kind(value) in (_DTYPE, *_REBUILD) or _of_objects(value):
            return None
        return self.array(value)

    def array(self, built: Any, nesting: int = 0) -> np.ndarray:
        """The array that is described."""
        if not isinstance(built, Built) or nesting > _MAX_NESTING:
            raise HeadPickleError("it rebuilds an object that is no array")
        kind = _kind(built)
        if kind in _RECONSTRUCT:
            _, shape, dtype, by_column, data = _fields(built.state, 5)
            return self._of_bytes(data, dtype, shape, "F" if by_column is True else "C")
        if kind in _FROMBUFFER:
            data, dtype, shape, order = _fields(built.arguments, 4)
            return self._of_bytes(data, dtype, shape, "F" if order == "F" else "C")
        if kind in _SCALAR:
            dtype, data = _fields(built.arguments, 2)
            return self._of_bytes(data, dtype, (), "C")
        state = built.state
        if not isinstance(state, dict):
            raise HeadPickleError("an array in this pickle has a state that is no dictionary")
        if kind in _SPARSE:
            return self._sparse(_SPARSE[kind], state, nesting)
        if kind == _CH:
            return self.array(state["x"], nesting + 1)
        if kind == _SELECT:
            return self._select(state, nesting)
        raise HeadPickleError("it rebuilds an object that is no array")

    def _of_bytes(self, data: Any, dtype: Any, shape: Any, order: Literal["C", "F"]) -> np.ndarray:
        kind, dimensions = _dtype(dtype), _shape(shape)
        data = _bytes(data)
        size = math.prod(dimensions) * kind.itemsize
        if len(data) != size:
            raise HeadPickleError(f"an array of {size} bytes has {len(data)}")
        self._take(size)
        # A bytearray is copied, so the array can be written to.
        return np.ndarray(dimensions, kind, bytearray(data), order=order)

    def _of_list(self, items: list | tuple) -> np.ndarray | None:
        """Numbers or texts, or rows of such; None where anything else is among them."""
        rows = items if items and isinstance(items[0], list | tuple) else [items]
        if not all(isinstance(row, list | tuple) and len(row) == len(rows[0]) for row in rows):
            return None
        self._take(sum(16 * len(row) for row in rows))
        flat = [item for row in rows for item in row]
        if all(isinstance(item, str) for item in flat):
            self._take(4 * len(flat) * max(map(len, flat), default=0))
        elif not all(isinstance(item, float) or (isinstance(item, int) and abs(item) < 2**63) for item in flat):
            return None
        array = np.array(flat)
        return array if rows[0] is items else array.reshape(len(rows), -1)

    def _sparse(self, layout: str, state: dict, nesting: int) -> np.ndarray:
        shape = _shape(state.get("_shape", state.get("shape")))
        if len(shape) != 2:
            raise HeadPickleError(f"a sparse matrix has the shape {shape}")
        data = self._flat(state["data"], nesting)
        if layout == "coo":
            rows, columns = (self._flat(part, nesting) for part in _fields(state.get("coords") or _coords(state), 2))
        else:
            minor, starts = (self._flat(state[key], nesting) for key in ("indices", "indptr"))
            major_size = shape[0] if layout == "csr" else shape[1]
            counts = np.diff(starts.astype(np.int64))
            if len(counts) != major_size or (counts < 0).any() or starts[0] != 0 or starts[-1] != len(data):
                raise HeadPickleError("a sparse matrix's indptr does not fit its data")
            major = np.repeat(np.arange(major_size), counts)
            rows, columns = (major, minor) if layout == "csr" else (minor, major)
        for indices, size in ((rows, shape[0]), (columns, shape[1])):
            _check_indices(indices, size, len(data))
        self._take(math.prod(shape) * data.itemsize)
        dense = np.zeros(shape, data.dtype)
        np.add.at(dense, (rows, columns), data)
        return dense

    def _select(self, state: dict, nesting: int) -> np.ndarray:
        """chumpy.reordering.Select: picked entries of another array."""
        source = self.array(state["a"], nesting + 1).ravel()
        picked, shape = self._flat(state["idxs"], nesting), _shape(state["preferred_shape"])
        _check_indices(picked, source.size, math.prod(shape))
        self._take(picked.size * source.itemsize)
        return source[picked].reshape(shape)

    def _flat(self, built: Any, nesting: int) -> np.ndarray:
        return self.array(built, nesting + 1).ravel()

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise HeadPickleError(f"its arrays have more than {MAX_ARRAY_BYTES} bytes, more than any head model")


def _kind(built: Built) -> tuple[str, str]:
    """What is made in the end: `_reconstructor` gets the class as its first argument."""
    kind = _key(built.name)
    if kind in _REBUILD and built.arguments and isinstance(built.arguments[0], Name):
        return _key(built.arguments[0])
    return kind


def _of_objects(built: Built) -> bool:
    """numpy pickles an array of objects as a list of them."""
    return _kind(built) in _RECONSTRUCT and isinstance(_fields(built.state, 5)[4], list)


def _dtype(built: Any) -> np.dtype:
    """A plain number's dtype from its name and byte order; every other field of its state must be empty."""
    if not isinstance(built, Built) or _key(built.name) != _DTYPE:
        raise HeadPickleError("an array's dtype is none")
    name, order = built.arguments[0], "="
    if not isinstance(name, str) or name not in _NUMBERS:
        raise HeadPickleError(f"an array's dtype is not one of {', '.join(sorted(_NUMBERS))}")
    if built.state is not None:
        _, order, subtype, names, fields, *_ = _fields(built.state, 8, 9)
        if order not in ("<", ">", "|", "=") or not (subtype is None and names is None and fields is None):
            raise HeadPickleError("an array's dtype is not of plain numbers")
    return np.dtype(order + name)


def _shape(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, tuple) and len(shape) <= MAX_DIMENSIONS:
        sizes = tuple(size if isinstance(size, int) else -1 for size in shape)
        if all(0 <= size <= MAX_ARRAY_BYTES for size in sizes):
            return sizes
    raise HeadPickleError("an array's shape cannot be")


def _bytes(data: Any) -> bytes | bytearray:
    if isinstance(data, Built) and _key(data.name) == _ENCODE and data.arguments:
        data = data.arguments[0]
    if isinstance(data, str):
        # Python 2's bytes, or what `_codecs.encode` shall encode.
        return data.encode("latin-1")
    if not isinstance(data, bytes | bytearray):
        raise HeadPickleError("an array's data is not bytes, but for instance objects")
    return data


def _fields(state: Any, *counts: int) -> tuple:
    if not isinstance(state, tuple) or len(state) not in counts:
        raise HeadPickleError("an array's parts are not as numpy or scipy write them")
    return state


def _coords(state: dict) -> tuple[Any, Any]:
    return state["row"], state["col"]


def _check_indices(indices: np.ndarray, size: int, count: int) -> None:
    if indices.dtype.kind not in "iu" or len(indices) != count:
        raise HeadPickleError("a sparse or picked array has other indices than entries")
    if count and (indices.min() < 0 or indices.max() >= size):
        raise HeadPickleError("a sparse or picked array's indices lie beyond its shape")
