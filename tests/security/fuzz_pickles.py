"""Damaged head-model files by the thousand: each is read or refused, in bounded time and memory."""

from __future__ import annotations

import io
import pickle
import random
import resource
import sys
from collections import Counter
from types import ModuleType

import numpy as np
import scipy.sparse as sp

from flame.files import HeadModelError, head_model_from_arrays, read_arrays
from flame.limits import MAX_ARRAY_BYTES

from .mutations import NUMBERS, mutate

MAX_GROWTH = 2 * MAX_ARRAY_BYTES

NAMES = (
    *(b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n"),
    *(b"cnumpy.core.multiarray\nscalar\n", b"cnumpy.core.numeric\n_frombuffer\n", b"c_codecs\nencode\n"),
    *(b"cscipy.sparse._csc\ncsc_matrix\n", b"cscipy.sparse._coo\ncoo_matrix\n", b"cchumpy.ch\nCh\n"),
    *(b"cchumpy.reordering\nSelect\n", b"ccopyreg\n_reconstructor\n", b"c__builtin__\nset\n", b"cos\nsystem\n"),
)
OPCODES = tuple(bytes([code]) for code in range(256))
DTYPES = tuple(b"U\x02" + name for name in (b"f8", b"O8", b"V8", b"i4", b"u8", b"b1"))


def run(count: int, seed: int) -> dict[str, int]:
    """See the package."""
    chance, right = random.Random(seed), _right_files()
    tokens = (*NUMBERS, *NAMES, *OPCODES, *DTYPES)
    outcomes: Counter[str] = Counter()
    memory = _peak()
    for number in range(count):
        content = _program(chance) if chance.random() < 0.2 else mutate(chance, chance.choice(right), right, tokens)
        try:
            head_model_from_arrays(read_arrays("x", content), "x", "")
            outcomes["read"] += 1
        except HeadModelError:
            outcomes["refused"] += 1
        except BaseException as error:
            raise AssertionError(f"{error!r}: seed {seed}, file {number}") from error
    grown = _peak() - memory
    assert grown < MAX_GROWTH, f"the memory grew by {grown} bytes: seed {seed}"
    return dict(outcomes)


def _right_files() -> list[bytes]:
    """A small head as every kind of file that is read."""
    rng, count = np.random.default_rng(1), 8
    arrays = {
        "v_template": rng.random((count, 3)),
        "f": rng.integers(0, count, (6, 3)).astype(np.uint32),
        "shapedirs": rng.random((count, 3, 4)),
        "posedirs": rng.random((count, 3, 36)).astype(np.float32),
        "J_regressor": np.full((5, count), 1 / count),
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], range(5)], np.uint32),
        "weights": np.full((count, 5), 0.2),
        "num_shape": np.int64(2),
        "bs_style": "lbs",
    }
    files = [pickle.dumps(arrays, protocol) for protocol in range(6)]
    for kind in (sp.csc_matrix, sp.csr_matrix, sp.coo_matrix, sp.csc_array):
        files.append(pickle.dumps({**arrays, "J_regressor": kind(arrays["J_regressor"])}, 2))
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, **arrays)
        files.append(buffer.getvalue())
    return [*files, _with_chumpy(arrays)]


def _with_chumpy(arrays: dict) -> bytes:
    """chumpy does not install on this Python: classes of its names, for as long as it takes."""
    made = {name: type(name, (), {"__module__": module}) for module, name in _CHUMPY}
    for module, name in (("chumpy", ""), *_CHUMPY):
        sys.modules[module] = ModuleType(module)
        setattr(sys.modules[module], name, made.get(name))
    ch, select = made["Ch"](), made["Select"]()
    ch.x = arrays["shapedirs"].ravel()
    select.a, select.idxs, select.preferred_shape = ch, np.arange(ch.x.size), arrays["shapedirs"].shape
    try:
        return pickle.dumps({**arrays, "shapedirs": select}, 2)
    finally:
        for module in ("chumpy", *dict(_CHUMPY)):
            del sys.modules[module]


_CHUMPY = (("chumpy.ch", "Ch"), ("chumpy.reordering", "Select"))


def _program(rng: random.Random) -> bytes:
    """Random steps of a pickle, those that build arrays often."""
    steps = (*NAMES, *DTYPES, b"N", b"(", b"t", b"R", b"b", b")", b"]", b"}", b"\x81", b"\x85", b"\x86", b"K\x01")
    steps += (b"U\x08abcdefgh", b"2", b"0", b"q\x01", b"h\x01", b"a", b"s", b"e", b"u", b"J\xff\xff\xff\xff")
    steps += (b"J\xff\xff\xff\x7f", b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"U\x05shape", b"U\x04data", b"U\x01x")
    return b"}U\x01k" + b"".join(rng.choices(steps, k=rng.randint(1, 60))) + b"s."


def _peak() -> int:
    """Bytes of memory that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
