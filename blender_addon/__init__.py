"""TurboPortrait3D: one portrait photo becomes a head that Blender can pose and film, refined."""

from . import (
    backend_link,
    backend_operators,
    camera_operators,
    card_render,
    engine,
    head_operators,
    head_panel,
    menu,
    operators,
    panel,
    preferences,
    preview_operators,
    properties,
    shots_operators,
    shots_panel,
    shots_properties,
    shots_session,
    texture,
)
from .live import overlay, session

OPERATORS = (operators, backend_operators, head_operators, camera_operators, preview_operators, shots_operators)
MODULES = (
    preferences,
    properties,
    texture,
    shots_properties,
    engine,
    *OPERATORS,
    panel,
    head_panel,
    shots_panel,
    menu,
    shots_session,
    session,
    card_render,
    overlay,
    backend_link,
)


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
