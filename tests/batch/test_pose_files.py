"""Pose files: what is written is read, and nothing else is."""

import hashlib
import io
import json
import zipfile

import msgspec
import numpy as np
import pytest
from little_shots import little_poses

from backend.protocol.errors import TurboPortraitError
from backend.protocol.pose_file import PoseFile


def test_a_pose_file_comes_back(tmp_path, poses):
    poses.save(tmp_path / "poses.npz")
    again = PoseFile.load(tmp_path / "poses.npz")
    assert again.header == poses.header
    assert again.portraits == poses.portraits
    for name, column in poses.columns.items():
        assert (again.columns[name] == column).all()
    assert again.camera(3) == poses.camera(3)
    assert again.parameters(3) == poses.parameters(3)
    assert again.camera(0).width == 64
    assert not list(tmp_path.glob("*.part"))


def test_a_texture_comes_back(tmp_path, poses):
    texture = np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8)
    digest = hashlib.sha256(texture).hexdigest()
    heads = tuple(msgspec.structs.replace(head, texture_sha256=digest) for head in poses.header.heads)
    header = msgspec.structs.replace(poses.header, heads=heads)
    PoseFile(header, poses.columns, poses.portraits, {digest: texture}).save(tmp_path / "poses.npz")
    again = PoseFile.load(tmp_path / "poses.npz")
    assert (again.textures[digest] == texture).all()
    PoseFile(header, poses.columns, poses.portraits).save(tmp_path / "poses.npz")
    assert "missing" in refused(tmp_path / "poses.npz")


def test_the_same_poses_give_the_same_bytes(tmp_path, poses):
    poses.save(tmp_path / "a.npz")
    poses.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def refused(path) -> str:
    with pytest.raises(TurboPortraitError) as error:
        PoseFile.load(path)
    assert error.value.code == "bad_pose_file"
    return error.value.sentence


def altered(tmp_path, poses, **changes):
    """A pose file with other arrays in place of its own."""
    poses.save(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as good:
        arrays = {name: good[name] for name in good.files}
    arrays |= changes
    np.savez(tmp_path / "bad.npz", **{name: array for name, array in arrays.items() if array is not None})
    return tmp_path / "bad.npz"


def test_what_is_no_pose_file(tmp_path, poses):
    (tmp_path / "text.npz").write_text("hello")
    refused(tmp_path / "text.npz")
    refused(tmp_path / "none.npz")
    refused(altered(tmp_path, poses, K=None))
    refused(altered(tmp_path, poses, pose=np.zeros((3, 15), np.float32)))
    refused(altered(tmp_path, poses, pose=np.zeros((12, 15), np.float64)))
    refused(altered(tmp_path, poses, head=np.full(12, 4, np.int32)))
    refused(altered(tmp_path, poses, frame=np.arange(12, dtype=np.int32)[::-1]))
    refused(altered(tmp_path, poses, sample=np.full(12, 64, np.int32)))
    refused(altered(tmp_path, poses, sample=np.full(12, -1, np.int32)))
    for exposure in (0, 1.5, np.nan):
        refused(altered(tmp_path, poses, exposure=np.full(12, exposure)))
    refused(altered(tmp_path, poses, **{f"portrait_{'0' * 64}": np.zeros(3, np.uint8)}))
    refused(altered(tmp_path, poses, **{f"texture_{'0' * 64}": np.zeros((4, 4, 4), np.uint8)}))
    refused(altered(tmp_path, poses, **{f"texture_{'0' * 64}": np.zeros((4, 4), np.uint8)}))
    refused(altered(tmp_path, poses, header=np.frombuffer(b"{}", np.uint8)))
    header = np.frombuffer(json.dumps({"version": 2}).encode(), np.uint8)
    refused(altered(tmp_path, poses, header=header))
    assert "missing" in refused(altered(tmp_path, poses, **{f"portrait_{poses.header.heads[0].portrait_sha256}": None}))


def test_pickles_are_never_loaded(tmp_path, poses):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    trapped = np.array([Trap()], object)
    poses.save(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as good:
        np.savez(tmp_path / "bad.npz", **{n: good[n] for n in good.files if n != "K"}, K=trapped)
    refused(tmp_path / "bad.npz")


def test_sizes_are_checked_before_they_are_used(tmp_path):
    buffer = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 22, 1 << 20)}
    np.lib.format.write_array_header_1_0(buffer, header)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("K.npy", buffer.getvalue())
    refused(tmp_path / "bomb.npz")


def test_poses_of_several_heads(tmp_path):
    little_poses(heads=("Anna", "Bob")).save(tmp_path / "two.npz")
    assert len(PoseFile.load(tmp_path / "two.npz")) == 24
