"""Read FLAME's pickles without running what a pickle could run.

A pickle may name any function to call. This unpickler knows the names that FLAME's files hold (numpy arrays,
scipy.sparse matrices, chumpy arrays) and refuses every other one. scipy and chumpy need not be installed: their
objects are rebuilt from their state.
"""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO

import numpy as np


class ForbiddenPickleError(ValueError):
    """The pickle names something that no head model needs."""


class _Stored:
    """An object of which only the pickled state is kept."""

    def __init__(self, *_: Any) -> None:
        self.state: dict = {}

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise ForbiddenPickleError("an array in this pickle has a state that is no dictionary")
        self.state = state


class _CompressedSparse(_Stored):
    by_row: bool

    def to_array(self) -> np.ndarray:
        shape = self.state.get("_shape", self.state.get("shape"))
        data, minor, indptr = (np.asarray(self.state[k]) for k in ("data", "indices", "indptr"))
        major = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        dense = np.zeros(shape, data.dtype)
        np.add.at(dense, (major, minor) if self.by_row else (minor, major), data)
        return dense


class _CscMatrix(_CompressedSparse):
    by_row = False


class _CsrMatrix(_CompressedSparse):
    by_row = True


class _CooMatrix(_Stored):
    def to_array(self) -> np.ndarray:
        shape = self.state.get("_shape", self.state.get("shape"))
        rows, columns = self.state.get("coords") or (self.state["row"], self.state["col"])
        dense = np.zeros(shape, np.asarray(self.state["data"]).dtype)
        np.add.at(dense, (rows, columns), self.state["data"])
        return dense


class _Ch(_Stored):
    """chumpy.ch.Ch: the array itself is called x."""

    def to_array(self) -> np.ndarray:
        return np.asarray(self.state["x"])


class _Select(_Stored):
    """chumpy.reordering.Select: picked entries of another array."""

    def to_array(self) -> np.ndarray:
        source = as_plain(self.state["a"])
        return np.ravel(source)[self.state["idxs"]].reshape(self.state["preferred_shape"])


def _reconstructor(cls: type, base: type, state: Any) -> _Stored:
    """copyreg._reconstructor, for the stand-ins only."""
    if not (isinstance(cls, type) and issubclass(cls, _Stored)):
        raise ForbiddenPickleError("this pickle rebuilds an object that is no array")
    return cls()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """_codecs.encode, by which newer pickles write bytes."""
    return text.encode("latin1")


def _frombuffer(buffer: Any, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    """numpy.core.numeric._frombuffer, by which pickles of protocol 5 write arrays."""
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


# Asked of the objects themselves: the module that holds these two moved in numpy 2.
_RECONSTRUCT, _SCALAR = np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]

_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.multiarray", "scalar"): _SCALAR,
    ("numpy._core.multiarray", "scalar"): _SCALAR,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
    ("chumpy.ch", "Ch"): _Ch,
    ("chumpy.reordering", "Select"): _Select,
    ("copy_reg", "_reconstructor"): _reconstructor,
    ("copyreg", "_reconstructor"): _reconstructor,
    ("__builtin__", "object"): object,
    ("builtins", "object"): object,
    # chumpy keeps a set of names beside its array.
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
    ("_codecs", "encode"): _encode,
}
for _name, _class in (("csc", _CscMatrix), ("csr", _CsrMatrix), ("coo", _CooMatrix)):
    for _module in (f"scipy.sparse.{_name}", f"scipy.sparse._{_name}"):
        for _kind in ("matrix", "array"):
            _ALLOWED[_module, f"{_name}_{_kind}"] = _class


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise ForbiddenPickleError(
                f"this pickle asks for {module}.{name}, which no FLAME file needs; it was not loaded. "
                "Use the file as published, or an .npz"
            ) from None


def as_plain(value: Any) -> Any:
    """The numpy array of a stored scipy or chumpy object; anything else as it is."""
    return value.to_array() if isinstance(value, _Stored) else value


def load_restricted(file: BinaryIO) -> dict[str, Any]:
    """Read a FLAME pickle (Python 2 or 3): its keys with plain numpy arrays.

    Raises:
        ForbiddenPickleError: it names anything but numpy, scipy.sparse and chumpy arrays, or holds no dictionary.
        pickle.UnpicklingError, EOFError: it is no pickle, or cut.
    """
    content = _RestrictedUnpickler(file, encoding="latin1").load()
    if not isinstance(content, dict):
        raise ForbiddenPickleError("this pickle holds no dictionary of arrays, so it is no FLAME file")
    return {str(key): as_plain(value) for key, value in content.items()}
