"""The panel's button shows what the real backend understands of a head's photo."""

import sys

import bpy
import numpy as np
import pytest

from backend.evaluation.portraits import real_portraits
from blender_addon.connection import preferences
from blender_addon.connection.link import link
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
