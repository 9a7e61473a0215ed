"""The buttons beside a head's photo: what the real backend understands of it, and which of its faces is meant."""

import sys

import bpy
import numpy as np
import pytest

from backend.evaluation.portraits import real_portraits
from blender_addon.connection import preferences
from blender_addon.connection.link import link
from blender_addon.scene import head_requests
from blender_addon.scene.head import add_head
from blender_addon.scene.portrait import pack_portrait
from blender_addon.scene.texture import sha256_of


@pytest.fixture
def head(scene, head_model, monkeypatch):
    """A head whose portrait is the astronaut's, as registering leaves it."""
    command = (sys.executable, "-m", "backend.commands", "serve")
    monkeypatch.setattr(preferences, "backend_command", lambda python: command)
    head = add_head(bpy.context, head_model, "Ada")
    photo = real_portraits()["astronaut"]
    head.turboportrait.portrait = pack_portrait("/photos/ada.png", photo)
    head.turboportrait.portrait_sha256 = sha256_of(np.frombuffer(photo, np.uint8))
    head.turboportrait.head_model = "open_head"
    return head


def test_a_photo_is_shown_as_it_was_understood(head):
    assert bpy.ops.turboportrait.inspect_portrait() == {"FINISHED"}
    image = bpy.data.images["ada inspected"]
    assert tuple(image.size) == (2048, 512)
    assert image.packed_file
    assert not link.failed


def test_what_is_wrong_with_the_photo_is_said(head):
    head.turboportrait.portrait_face = 7
    with pytest.raises(RuntimeError, match="no number 7"):
        bpy.ops.turboportrait.inspect_portrait()
    assert "ada inspected" not in bpy.data.images


def test_without_a_portrait_the_button_is_off(head):
    head.turboportrait.portrait = None
    assert not bpy.ops.turboportrait.inspect_portrait.poll()


@pytest.mark.usefixtures("own_backend")
def test_the_head_gets_another_of_its_photos_faces(scene, little_head):
    properties = little_head.turboportrait
    before, images = properties.avatar_id, len(bpy.data.images)
    assert properties.several_faces, "the little maker warns of them"
    assert bpy.ops.turboportrait.choose_face(face=2) == {"FINISHED"}
    assert properties.portrait_face == 2
    assert properties.avatar_id != before
    assert [thing for thing in scene.objects if thing.turboportrait.is_head] == [little_head]
    # The photo is the one that is packed already; the new avatar brings its texture.
    assert len(bpy.data.images) <= images + 1
    depsgraph = bpy.context.evaluated_depsgraph_get()
    (request,) = head_requests.head_requests(depsgraph, scene, scene.camera)
    assert request.face == 2


def test_a_photo_that_is_lost_is_said(head):
    bpy.data.images.remove(head.turboportrait.portrait)
    assert not bpy.ops.turboportrait.choose_face.poll()
    head.turboportrait.portrait = bpy.data.images.new("ada.png", 1, 1)
    with pytest.raises(RuntimeError, match="photo is lost"):
        bpy.ops.turboportrait.choose_face(face=2)
    with pytest.raises(RuntimeError, match="photo is lost"):
        bpy.ops.turboportrait.inspect_portrait()
