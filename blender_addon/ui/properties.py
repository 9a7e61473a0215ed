"""The settings that a scene keeps, of the sidebar panel and of the render engine."""

from __future__ import annotations

import bpy

from backend.protocol.limits import MAX_SAMPLES

from ..connection.link import link
from ..live import session


def _presets(settings: bpy.types.PropertyGroup, context: bpy.types.Context, typed: str) -> list[str]:
    return list(link.capabilities.presets) if link.capabilities else []


def _switch_live(settings: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    session.switch(settings.id_data)


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

    joint: bpy.props.BoolProperty(
        name="Refine cameras together",
        description="Refine the views of all live cameras of a frame together, so that they agree; slower than one",
        default=True,
    )
    live: bpy.props.BoolProperty(
        name="Live preview",
        description="Keep the cameras' images up to date while heads and cameras move",
        update=_switch_live,
    )
    live_size: bpy.props.IntProperty(
        name="Preview size",
        description="Pixels along the longer side of the live images; smaller is faster",
        default=512,
        min=64,
        soft_max=1024,
        max=4096,
        subtype="PIXEL",
    )
    expression_filter: bpy.props.StringProperty(
        name="Search expressions",
        description="Show only the expressions whose names contain this",
        options={"TEXTEDIT_UPDATE"},
    )
    motion_blur_steps: bpy.props.IntProperty(
        name="Steps",
        description="Moments within the shutter's time that motion blur is the mean of; each is rendered in full",
        default=8,
        min=1,
        max=MAX_SAMPLES,
    )
    show_figures: bpy.props.BoolProperty(
        name="Show figures",
        description="Draw into the 3D viewports what the live preview costs and how fast it is",
    )


def register() -> None:
    bpy.utils.register_class(SceneProperties)
    bpy.types.Scene.turboportrait = bpy.props.PointerProperty(type=SceneProperties)


def unregister() -> None:
    del bpy.types.Scene.turboportrait
    bpy.utils.unregister_class(SceneProperties)
