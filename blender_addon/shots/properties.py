"""What the extension keeps in a .blend file about its shots."""

from __future__ import annotations

import bpy

# Blender 4.5 and later want to be told; earlier ones don't know the option.
BESIDE_THE_BLEND = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()


class ShotItem(bpy.types.PropertyGroup):
    """One line of the list."""

    # `name` is every property group's own.
    chosen: bpy.props.BoolProperty(name="Render", description="Render this shot with the chosen ones", default=True)
    camera: bpy.props.StringProperty(name="Camera", description="The camera that sees this shot")
    first: bpy.props.IntProperty(name="First", description="First frame of the scene in this shot")
    last: bpy.props.IntProperty(name="Last", description="Last frame of the scene in this shot")


class ShotListProperties(bpy.types.PropertyGroup):
    """On every scene."""

    items: bpy.props.CollectionProperty(
        type=ShotItem, name="Shots", description="The shots that can be rendered in batch"
    )
    active: bpy.props.IntProperty(name="Active shot", description="The line that is selected in the list")
    file: bpy.props.StringProperty(
        name="Shot list",
        description="The file that the shots were read from; empty for the timeline's markers",
        subtype="FILE_PATH",
        options=BESIDE_THE_BLEND,
    )
    output: bpy.props.StringProperty(
        name="Output",
        description="Folder for pictures, movies and the contact sheet; rendering again goes on with what is there",
        subtype="DIR_PATH",
        default="//batch",
        options=BESIDE_THE_BLEND,
    )
    file_format: bpy.props.EnumProperty(
        name="Pictures",
        description="The format of the frames",
        items=[
            ("PNG", "PNG", "8 bits, straight alpha"),
            ("EXR", "OpenEXR", "Half floats in linear light, straight alpha, depth and mattes"),
        ],
        default="PNG",
    )
    movies: bpy.props.BoolProperty(
        name="Movies", description="Make an H.264 and a ProRes movie of each shot", default=True
    )


CLASSES = (ShotItem, ShotListProperties)
_register_classes, _unregister_classes = bpy.utils.register_classes_factory(CLASSES)


def register() -> None:
    _register_classes()
    bpy.types.Scene.turboportrait_shots = bpy.props.PointerProperty(type=ShotListProperties)


def unregister() -> None:
    del bpy.types.Scene.turboportrait_shots
    _unregister_classes()
