"""TurboPortrait3D: one portrait photo becomes a head that Blender can pose and film, refined."""

from .connection import link, preferences
from .live import overlay, session
from .performance import following
from .performance import properties as performance_properties
from .render import card_render, engine
from .scene import properties as scene_properties
from .scene import texture
from .shots import batch_runs
from .shots import properties as shots_properties
from .ui import (
    backend_operators,
    camera_operators,
    capture_operators,
    head_operators,
    head_panels,
    menu,
    panels,
    performance_operators,
    performance_panel,
    portrait_operators,
    preview_operators,
    properties,
    shots_operators,
    shots_panel,
)

OPERATORS = (
    portrait_operators,
    backend_operators,
    head_operators,
    camera_operators,
    preview_operators,
    shots_operators,
    performance_operators,
    capture_operators,
)
MODULES = (
    preferences,
    scene_properties,
    properties,
    texture,
    shots_properties,
    performance_properties,
    engine,
    *OPERATORS,
    panels,
    head_panels,
    performance_panel,
    shots_panel,
    menu,
    batch_runs,
    following,
    session,
    card_render,
    overlay,
    link,
)


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
