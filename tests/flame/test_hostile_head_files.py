"""Head-model files that attack the reader: each is refused by the one error, quickly, with little memory."""

import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from synthetic_flame import flame_arrays

from flame import HeadModelError, load_head_model

NDARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
"""An empty array, to which a state is given next."""
BYTES8 = b"U\x08abcdefgh"


def dtype(name: bytes, state: bytes = b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t") -> bytes:
    """numpy's dtype by name, as Python 2 wrote it."""
    return b"cnumpy\ndtype\n(U" + bytes([len(name)]) + name + b"K\x00K\x01tR" + state + b"b"


def array(shape: bytes, dtype: bytes, data: bytes) -> bytes:
    return NDARRAY + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb"


def refused(path, content: bytes, message: str = "."):
    path.write_bytes(content)
    with pytest.raises(HeadModelError, match=message) as caught:
        load_head_model(path)
    assert len(str(caught.value)) < 600


def holding(value: bytes) -> bytes:
    """A pickle of a dictionary with one value."""
    return b"}U\x0av_template" + value + b"s."


def test_a_plain_array_by_these_helpers_is_read(tmp_path):
    content = holding(array(b"K\x01\x85", dtype(b"f8"), BYTES8))
    refused(tmp_path / "m.pkl", content, "missing")  # all other keys, but no complaint of the array


@pytest.mark.parametrize(
    "value",
    [
        # An object dtype whose flag is cleared by its state: numpy would take the bytes for pointers.
        array(b"K\x01\x85", dtype(b"O8", b"(K\x03U\x01|NNNK\x08K\x08K\x00t"), BYTES8),
        array(b"K\x01\x85", dtype(b"f8", b"(K\x03U\x01<(cnumpy\nndarray\nK\x01tNNK\x08K\x08K\x3ft"), BYTES8),
        array(b"K\x01\x85", dtype(b"V8", b"(K\x03U\x01|NNNK\x08K\x08K\x00t"), BYTES8),
        array(b"K\x01\x85", dtype(b"f8", b"(K\x03U\x01<NU\x01a}J\x08\x00\x00\x00K\x08K\x00t"), BYTES8),
        array(b"K\x01\x85", dtype(b"f8", b"U\x01x"), BYTES8),
        array(b"K\x02\x85", dtype(b"f8"), BYTES8),
        array(b"J\xff\xff\xff\xff\x85", dtype(b"f8"), BYTES8),
        array(b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85", dtype(b"f8"), BYTES8),
        array(b"(" + b"K\x01" * 40 + b"t", dtype(b"f8"), BYTES8),
        array(b"K\x01\x85", b"N", BYTES8),
        NDARRAY + b"Nb",
        b"cnumpy.core.multiarray\nscalar\n(" + dtype(b"V8") + BYTES8 + b"tR",
        b"cchumpy.ch\nCh\n)\x81}b",
        b"cchumpy.ch\nCh\n)\x81q\x01}U\x01xh\x01sb",
        b"cchumpy.ch\nCh\n)\x81(K\x01K\x02tb",
        b"cscipy.sparse.csc\ncsc_matrix\n)\x81}(U\x06_shapeM\xff\xffM\xff\xff\x86U\x04dataK\x01U\x07indicesK\x01ub",
        b"ccopy_reg\n_reconstructor\n(cchumpy.ch\nCh\nc__builtin__\nobject\nNtR",
    ],
)
def test_parts_that_do_not_fit_together(tmp_path, value):
    refused(tmp_path / "m.pkl", holding(value), r"m\.pkl")


@pytest.mark.parametrize(
    "content",
    [
        b"cchumpy.ch\nCh\n}U\x08to_arrayK\x01sb.",  # a state for a class
        b"c_codecs\nencode\nN}U\x0c__defaults__)s\x86b.",  # and for a function
        b"(c__builtin__\nset\n(lp0\ng0\natR.",
        b"\x82\x01.",
        b"Pname\n.",
        b"K\x01Q.",
        b"\x97.",
        b"(" * 1000 + b".",
        b"0" * 10,
        b"h\x05.",
        b"}]K\x01s.",  # a list as a key
        b"}(K\x01K\x02u.",
        b"L" + b"9" * 100_000 + b"\n.",
        b"\x8b\x00\x00\x00\x7f.",
        b"\x8d" + b"\xff" * 8,
        b"ccopy_reg\n_reconstructor\n(c__builtin__\nset\nc__builtin__\nobject\nNtR.",
    ],
)
def test_programs_that_are_no_pickles_of_arrays(tmp_path, content):
    refused(tmp_path / "m.pkl", content, r"m\.pkl")


def test_the_steps_of_a_pickle_are_bounded(tmp_path):
    refused(tmp_path / "m.pkl", b"]" * 3_000_000 + b".", "steps")
    refused(tmp_path / "m.pkl", b")" + b"\x85" * 250_000 + b".", "dictionary")  # nested so deep


def test_one_buffer_shared_by_thousands_of_arrays_is_bounded(tmp_path):
    buffer = b"T" + struct.pack("<i", 8 << 20) + bytes(8 << 20) + b"q\x090"
    one = array(b"J\x00\x00\x10\x00\x85", dtype(b"f8"), b"h\x09")
    many = b"".join(b"U\x04%04d" % i + one + b"s" for i in range(1000))
    refused(tmp_path / "m.pkl", buffer + b"}" + many + b".", "more than any head model")


def test_lists_in_lists_do_not_multiply(tmp_path):
    laughs = b"]q\x00" + b"".join(b"0](" + b"h\x00" * 10 + b"eq\x00" for _ in range(30))
    refused(tmp_path / "m.pkl", holding(laughs), "missing")


@pytest.fixture
def arrays():
    small = flame_arrays(60)
    return {**small, "J_regressor": small["J_regressor"].toarray()}


def npz(arrays, **options) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, **options)
    return buffer.getvalue()


def zipped(members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def member(header: str) -> bytes:
    """One .npy file with this header and eight bytes."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(8)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (), }",
        "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '|V8', 'fortran_order': False, 'shape': (), }",
        "__import__('os').system('true')",
        "(" * 9000,
        "{'descr': '<f8'}",
        "",
    ],
)
def test_headers_of_an_npz_that_lie(tmp_path, header):
    refused(tmp_path / "m.npz", zipped({"v_template.npy": member(header)}), r"m\.npz")


def test_damaged_zips(tmp_path, arrays):
    whole = npz(arrays)
    refused(tmp_path / "m.npz", whole[:-30])
    refused(tmp_path / "m.npz", whole[: len(whole) // 2])
    refused(tmp_path / "m.npz", whole[:200] + bytes(200) + whole[400:])
    encrypted = bytearray(zipped({"f.npy": member("x")}))
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    refused(tmp_path / "m.npz", bytes(encrypted))
    refused(tmp_path / "m.npz", zipped({"f.npy": member("x")}, zipfile.ZIP_LZMA), "packed")
    refused(tmp_path / "m.npz", zipped({"f.npy": b"\x93NUMPY\x03\x00"}))
    refused(tmp_path / "m.npz", zipped({str(i): b"" for i in range(2000)}), "2000 arrays")


def test_arrays_of_objects_and_structures_in_an_npz(tmp_path, arrays):
    refused(tmp_path / "m.npz", npz({**arrays, "f": np.array([None])}), "plain array")
    refused(tmp_path / "m.npz", npz({**arrays, "num_shape": np.zeros((), [("a", int)])}), "plain array")
    refused(tmp_path / "m.npz", npz({**arrays, "num_shape": np.array("many")}), "no FLAME model")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in folders")
def test_folders_pipes_and_devices(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "link.npz").symlink_to("/dev/zero")
    (tmp_path / "circle.npz").symlink_to("circle.npz")
    for name in ("folder.npz", "pipe.npz", "link.npz", "circle.npz"):
        with pytest.raises(HeadModelError, match=name):
            load_head_model(tmp_path / name)


def test_python_2_wrote_arrays_as_text(tmp_path):
    """Protocol 0 of Python 2: the bytes of an array as an escaped string."""
    arrays = flame_arrays(60)
    dense = np.ascontiguousarray(arrays["J_regressor"].toarray())
    content = pickle.dumps({**arrays, "J_regressor": "HERE"}, protocol=2)
    text = b"S" + repr(dense.tobytes())[1:].encode() + b"\n"
    value = array(b"K\x05K\x3c\x86", dtype(b"f8"), text)
    at = content.index(b"X\x04\x00\x00\x00HERE")
    (tmp_path / "m.pkl").write_bytes(content[:at] + value + content[at + 9 :])
    np.testing.assert_allclose(load_head_model(tmp_path / "m.pkl").J_regressor, dense, rtol=1e-6)
