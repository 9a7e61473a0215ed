"""Read .npz files of strangers: what a member's header promises is compared with its size before it is unpacked."""

from __future__ import annotations

import io
import math
import zipfile

import numpy as np
from numpy.lib import format as npy

from flame.limits import MAX_ARRAY_BYTES, MAX_DIMENSIONS, MAX_MEMBERS

_KINDS = "biufSU"
_MEMBER = b"PK\1\2"
"""Before each entry of a zip's list of members."""


class NpzError(ValueError):
    """The file is no .npz, damaged, or holds something else than arrays of numbers and texts."""


def load_npz(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an .npz file that numpy wrote, packed or not.

    Raises:
        NpzError: it is damaged, unpacks to too much, or has arrays of objects or of structures.
    """
    try:
        # The list of members is read as a whole: an archive of nothing but names would fill the memory.
        if (named := content.count(_MEMBER)) > MAX_MEMBERS:
            raise NpzError(f"it has {named} arrays, {MAX_MEMBERS} are possible")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > MAX_ARRAY_BYTES:
                raise NpzError(f"it unpacks to {total >> 20} MiB, {MAX_ARRAY_BYTES >> 20} are possible")
            return {member.filename.removesuffix(".npy"): _read(archive, member) for member in members}
    except NpzError:
        raise
    # Whatever damaged zips, deflate streams and headers make of their readers: zlib.error, struct.error, SyntaxError,
    # RuntimeError of encrypted members and others.
    except Exception as error:
        raise NpzError(f"it is no .npz, or damaged: {str(error)[:200]}") from error


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NpzError(f"{member.filename[:80]} is packed as numpy never does")
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise NpzError(f"{member.filename[:80]} is no array of a version that is known")
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, by_column, dtype = read_header(file)
        if dtype.kind not in _KINDS or dtype.subdtype or len(shape) > MAX_DIMENSIONS or any(n < 0 for n in shape):
            raise NpzError(f"{member.filename[:80]} is no plain array of numbers or texts")
        size = math.prod(shape) * dtype.itemsize
        if size != member.file_size - file.tell():
            raise NpzError(f"{member.filename[:80]} has another size than its header says")
        # A bytearray is copied, so the array can be written to.
        return np.ndarray(shape, dtype, bytearray(file.read()), order="F" if by_column else "C")
