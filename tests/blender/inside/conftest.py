"""Fixtures of the tests that run inside Blender."""

import os
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Matrix
from watching import stop_backend

import blender_addon
from backend.client import BackendProcess
from backend.protocol.rigged_mesh import RiggedMesh
from blender_addon.connection import preferences
from flame import load_head_model


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Leave at once: bpy 4.5 takes minutes to tear itself down after Python has ended its session."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(config.stash.get(EXIT_STATUS, 1)))


EXIT_STATUS = pytest.StashKey[int]()


def pytest_sessionfinish(session, exitstatus):
    session.config.stash[EXIT_STATUS] = exitstatus


@pytest.fixture(scope="session", autouse=True)
def blender_version():
    """The suite means the Blender that it says."""
    expected = os.environ.get("EXPECTED_BLENDER", "")
    assert bpy.app.version_string.startswith(expected)


@pytest.fixture(scope="session")
def addon():
    """The extension, enabled as a user's preferences would enable it."""
    bpy.ops.preferences.addon_enable(module="blender_addon")
    yield blender_addon
    bpy.ops.preferences.addon_disable(module="blender_addon")


@pytest.fixture
def scene(addon):
    """A fresh scene of Blender's own default: a cube, a light, a camera."""
    for collection in (bpy.data.objects, bpy.data.meshes, bpy.data.armatures, bpy.data.images, bpy.data.materials):
        for block in list(collection):
            collection.remove(block)
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.resolution_x = scene.render.resolution_y = 512
    scene.render.resolution_percentage = 100
    scene.render.pixel_aspect_x = scene.render.pixel_aspect_y = 1.0
    scene.render.use_border = False
    return scene


@pytest.fixture(scope="session")
def head_model():
    """The open head that ships."""
    return load_head_model()


@pytest.fixture(scope="session")
def rigged_mesh(head_model) -> RiggedMesh:
    """An avatar-like mesh: the open head with a picture on it."""
    model = head_model
    offsets = np.moveaxis(model.expressiondirs, 2, 0)
    moved = np.flatnonzero(np.any(offsets, axis=(0, 2))).astype(np.int32)
    vertices = model.v_template
    low, high = vertices.min(0), vertices.max(0)
    uv = ((vertices - low) / (high - low))[:, :2].astype(np.float32)
    rows, columns = np.mgrid[0:256, 0:256]
    # The crown is half transparent, as hair is.
    texture = np.stack([rows, columns, 255 - rows, np.where(rows < 40, 120, 255)], -1).astype(np.uint8)
    return RiggedMesh(
        vertices=vertices,
        faces=model.faces,
        expression_vertices=moved,
        expression_offsets=offsets[:, moved],
        expression_names=model.expression_names,
        joints=model.rest_joints(vertices),
        parents=model.parents,
        skin_weights=model.lbs_weights,
        uv=uv,
        uv_faces=model.faces,
        texture=texture,
        confidence=np.full((256, 256), 255, np.uint8),
    )


PIPELINE_TESTS = Path(__file__).parents[2] / "pipeline"


@pytest.fixture(scope="session")
def little_command() -> list[str]:
    """What starts a real backend process whose avatars are quick to make: coloured balls."""
    return [sys.executable, str(PIPELINE_TESTS / "little_backend.py")]


@pytest.fixture(scope="session")
def little_backend(little_command, tmp_path_factory):
    """Where such a process listens."""
    folder = tmp_path_factory.mktemp("little")
    process = BackendProcess.start(
        command=little_command, endpoint_path=folder / "backend.json", log=folder / "backend.log"
    )
    yield process.wait_ready()
    process.stop()


@pytest.fixture(scope="session")
def little_photos():
    """little_photos(color) -> the bytes of a portrait for that backend."""
    sys.path.insert(0, str(PIPELINE_TESTS))
    from little_head import photo

    return photo


@pytest.fixture(scope="session")
def little_photo(little_photos) -> bytes:
    """One of them."""
    return little_photos()


@pytest.fixture(scope="module")
def own_backend(tmp_path_factory):
    """The backend of a file's tests is nobody else's, and ends with them."""
    os.environ["TURBOPORTRAIT_STATE"] = str(tmp_path_factory.mktemp("state"))
    yield
    stop_backend()


@pytest.fixture
def little_head(scene, little_command, little_photo, tmp_path, monkeypatch):
    """A registered little head, one metre before the camera."""
    monkeypatch.setattr(preferences, "backend_command", lambda python: tuple(little_command))
    path = tmp_path / "Ada.png"
    path.write_bytes(little_photo)
    bpy.ops.turboportrait.register_portrait(filepath=str(path), maker="little")
    scene.camera.matrix_world = Matrix.Translation((0, -1, 0)) @ Matrix.Rotation(np.pi / 2, 4, "X")
    return bpy.context.object
