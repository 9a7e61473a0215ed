"""What Blender shows and the backend's views leave out is said, in the panel and of a render."""

import bpy
import pytest

from blender_addon.scene.head import add_head, mesh_of
from blender_addon.scene.unsupported import unsupported_in_scene
from blender_addon.ui import head_panels


@pytest.fixture
def head(scene, head_model):
    """A head that the backend would render, before the scene's camera."""
    head = add_head(bpy.context, head_model, "Ada")
    head.turboportrait.avatar_id = "abc"
    scene.camera.location = (0, -1, 0)
    scene.camera.rotation_euler = (1.5708, 0, 0)
    return head


def said(scene) -> list[str]:
    bpy.context.view_layer.update()
    return unsupported_in_scene(bpy.context.evaluated_depsgraph_get(), scene.camera)


def test_nothing_is_said_of_an_ordinary_head(scene, head):
    head.pose.bones["neck"].rotation_euler = (0.2, 0.3, 0)
    head.pose.bones["global"].location = (0.1, 0, 0)
    mesh_of(head).data.shape_keys.key_blocks["jawOpen"].value = 0.5
    head.scale = (2, 2, 2)
    assert said(scene) == []


def own_shape_key(head):
    mesh_of(head).shape_key_add(name="nostrils flare")


def sculpted(head):
    mesh_of(head).data.shape_keys.key_blocks[0].data[100].co.x += 0.01


def modifier(head):
    mesh_of(head).modifiers.new("Corrective smooth", "CORRECTIVE_SMOOTH")


def stretched(head):
    constraint = head.pose.bones["jaw"].constraints.new("STRETCH_TO")
    constraint.target, constraint.subtarget = head, "gaze"
    constraint.rest_length = 0.1


def scaled_bone(head):
    head.pose.bones["jaw"].scale = (1, 1.5, 1)


def moved_bone(head):
    head.pose.bones["jaw"].location.y = 0.02


def renamed_key(head):
    mesh_of(head).data.shape_keys.key_blocks["jawOpen"].name = "mouth open"


def depth_of_field(head):
    bpy.context.scene.camera.data.dof.use_dof = True


def clipped(head):
    bpy.context.scene.camera.data.clip_end = 0.9


def holdout(head):
    mesh_of(head).is_holdout = True


def holdout_collection(head):
    collection = bpy.data.collections.new("Held out")
    bpy.context.scene.collection.children.link(collection)
    collection.objects.link(mesh_of(head))
    bpy.context.view_layer.layer_collection.children["Held out"].holdout = True


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (own_shape_key, "nostrils flare"),
        (sculpted, "sculpted"),
        (modifier, "Corrective smooth"),
        (stretched, "stretched: jaw"),
        (scaled_bone, "scaled or stretched: jaw"),
        (moved_bone, "moved: jaw"),
        (renamed_key, "count as zero: jawOpen"),
        (depth_of_field, "depth of field"),
        (clipped, "clip range"),
        (holdout, "holdout"),
        (holdout_collection, "holdout"),
    ],
)
def test_what_is_ignored_is_said(scene, head, change, words):
    change(head)
    sentences = said(scene)
    assert words in sentences[-1]
    assert sentences[-1].startswith(("Ada: ", "Camera: "))
    # A renamed key is also one of the user's own.
    assert len(sentences) == (2 if change is renamed_key else 1)


def test_the_panels_say_it(scene, head):
    class Layout:
        def __init__(self):
            self.shown = []

        def row(self, **options):
            return self

        column = row

        def label(self, text="", **options):
            self.shown.append(text)

        def prop(self, *arguments, **options):
            pass

        operator = prop

    class Panel:
        layout = Layout()

    class Context:
        scene, object = bpy.context.scene, head
        evaluated_depsgraph_get = staticmethod(bpy.context.evaluated_depsgraph_get)

        class region:
            width = 2000

        class preferences:
            class system:
                ui_scale = 1.0

    moved_bone(head)
    depth_of_field(head)
    bpy.context.view_layer.update()
    for panel in (head_panels.HeadPanel, head_panels.CameraPanel):
        panel.draw(Panel, Context)
    text = " ".join(Panel.layout.shown)
    assert "moved: jaw" in text
    assert "depth of field" in text
