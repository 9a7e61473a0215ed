"""What the extension keeps in a .blend file: on scenes, head objects and head meshes."""

from __future__ import annotations

import bpy

from .backend_link import link


def _presets(settings: bpy.types.PropertyGroup, context: bpy.types.Context, typed: str) -> list[str]:
    return list(link.capabilities.presets) if link.capabilities else []


class HeadProperties(bpy.types.PropertyGroup):
    """On every object; only a head's armature object uses it."""

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
    portrait_sha256: bpy.props.StringProperty(name="Portrait hash", description="SHA-256 of the portrait file's bytes")


class MeshProperties(bpy.types.PropertyGroup):
    """On every mesh; only a head's mesh uses it."""

    expression_names: bpy.props.StringProperty(
        name="Expression names",
        description="The head model's expression basis in its own order, one name a line",
        options={"HIDDEN"},
    )


class SceneProperties(bpy.types.PropertyGroup):
    """The settings of the sidebar panel and of the render engine."""

    output: bpy.props.EnumProperty(
        name="Output",
        description="What the backend sends back",
        items=[
            ("REFINED", "Refined", "The refiner makes the raw view look like a photo"),
            ("RAW", "Raw", "The avatar as it is; fastest"),
        ],
        default="REFINED",
    )
    preset: bpy.props.StringProperty(
        name="Preset",
        description="The refiner's preset; the backend lists those that it has",
        default="compact",
        search=_presets,
        search_options={"SUGGESTION"},
    )
    noise_level: bpy.props.FloatProperty(
        name="Noise level",
        description="How far the refiner may leave the raw view: 0 keeps it, higher invents more",
        default=0.1,
        min=0.0,
        max=0.5,
        step=5,
        precision=2,
    )


CLASSES = (HeadProperties, MeshProperties, SceneProperties)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Object.turboportrait = bpy.props.PointerProperty(type=HeadProperties)
    bpy.types.Mesh.turboportrait = bpy.props.PointerProperty(type=MeshProperties)
    bpy.types.Scene.turboportrait = bpy.props.PointerProperty(type=SceneProperties)


def unregister() -> None:
    for owner in (bpy.types.Scene, bpy.types.Mesh, bpy.types.Object):
        del owner.turboportrait
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
