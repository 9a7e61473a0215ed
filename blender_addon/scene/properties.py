"""What the extension keeps in a .blend file: on head objects and head meshes."""

from __future__ import annotations

import bpy

from . import material
from .rig_controls import use_limits


def _tag(properties: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    # A script's assignment to a property without an update function leaves its drivers as they are.
    properties.id_data.update_tag()


def _switch_limits(properties: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    if properties.is_head:
        use_limits(properties.id_data, properties.limits)


OVERRIDABLE = {"LIBRARY_OVERRIDABLE"}
"""What an animator may set on a head that is linked from another file."""


class HeadProperties(bpy.types.PropertyGroup):
    """On every object; a head's armature object uses it, and cameras use `live`."""

    is_head: bpy.props.BoolProperty(
        name="Is a head", description="This armature is a TurboPortrait head", options={"HIDDEN"}
    )
    avatar_id: bpy.props.StringProperty(
        name="Avatar", description="The backend's name of the registered person; empty without a portrait"
    )
    maker: bpy.props.StringProperty(name="Maker", description="How the avatar was made from the portrait")
    head_model: bpy.props.StringProperty(name="Head model", description="The head model that the avatar was made with")
    portrait: bpy.props.PointerProperty(
        type=bpy.types.Image,
        name="Portrait",
        description="The portrait photo, packed into the .blend file so that any backend can register it again",
    )
    portrait_face: bpy.props.IntProperty(
        name="Face", description="Which of the portrait's faces, counted from 1 at the left; 0 for the largest", min=0
    )
    several_faces: bpy.props.BoolProperty(
        name="Several faces", description="The portrait shows more faces than the one that is used"
    )
    portrait_parameters: bpy.props.StringProperty(
        name="Portrait's pose", description="Pose and expression as found in the portrait", options={"HIDDEN"}
    )
    gaze: bpy.props.FloatProperty(
        name="Eyes follow target",
        description="How far the eyes look at the gaze bone rather than where their own bones point",
        default=0.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        override=OVERRIDABLE,
        update=_tag,
    )
    limits: bpy.props.BoolProperty(
        name="Natural limits",
        description="Hold neck, jaw and eyes to what a person can do",
        default=True,
        override=OVERRIDABLE,
        update=_switch_limits,
    )
    live: bpy.props.BoolProperty(
        name="Live camera",
        description="Keep this camera's image up to date in the live preview, also while another camera is active",
        override=OVERRIDABLE,
    )
    portrait_sha256: bpy.props.StringProperty(name="Portrait hash", description="SHA-256 of the portrait file's bytes")
    texture_sha256: bpy.props.StringProperty(
        name="Texture hash", description="SHA-256 of the texture's pixels as the avatar was registered with them"
    )


def _switch_look(properties: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    material.show(properties.id_data)


class MeshProperties(bpy.types.PropertyGroup):
    """On every mesh; only a head's mesh uses it."""

    texture: bpy.props.PointerProperty(
        type=bpy.types.Image,
        name="Texture",
        description="What the head looks like, packed into the .blend file; paint on it shows in the backend's views",
    )
    look: bpy.props.EnumProperty(
        name="Look",
        description="How the head's mesh is shaded in Blender and in exported files",
        items=[
            ("UNLIT", "Unlit", "As in the photo, whatever the scene's lights are"),
            ("LIT", "Lit", "By the scene's lights; the photo's own light is taken out, roughly"),
        ],
        default="UNLIT",
        update=_switch_look,
    )

    rest_sha256: bpy.props.StringProperty(
        name="Rest hash", description="Tells whether the mesh was sculpted since it was made", options={"HIDDEN"}
    )
    expression_names: bpy.props.StringProperty(
        name="Expression names",
        description="The head model's expression basis in its own order, one name a line",
        options={"HIDDEN"},
    )


CLASSES = (HeadProperties, MeshProperties)
_register_classes, _unregister_classes = bpy.utils.register_classes_factory(CLASSES)


def register() -> None:
    _register_classes()
    bpy.types.Object.turboportrait = bpy.props.PointerProperty(type=HeadProperties)
    bpy.types.Mesh.turboportrait = bpy.props.PointerProperty(type=MeshProperties)


def unregister() -> None:
    for owner in (bpy.types.Mesh, bpy.types.Object):
        del owner.turboportrait
    _unregister_classes()
