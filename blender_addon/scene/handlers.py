"""Handlers of Blender's events, put in and taken out as `bpy.utils.register_classes_factory` does with classes."""

from __future__ import annotations

from collections.abc import Callable

import bpy


def register_handlers_factory(handlers: dict[str, Callable]) -> tuple[Callable[[], None], Callable[[], None]]:
    """Functions that register and unregister handlers, by the names of their lists in `bpy.app.handlers`."""

    def register() -> None:
        for name, handler in handlers.items():
            getattr(bpy.app.handlers, name).append(handler)

    def unregister() -> None:
        for name, handler in handlers.items():
            getattr(bpy.app.handlers, name).remove(handler)

    return register, unregister
