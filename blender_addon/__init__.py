"""TurboPortrait3D: one portrait photo becomes a head that Blender can pose and film, refined."""

from . import backend_link, engine, operators, panel, preferences, properties
from .live import overlay, session

MODULES = (preferences, properties, engine, operators, panel, session, overlay, backend_link)


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
