"""The extension's preferences: where the backend is and how long to wait for it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import bpy

from backend.client.isolation import find_program, python_module

from ..package_name import ADDON
from . import bundled, installer

DEFAULT_TIMEOUT = 120.0


class TurboPortraitPreferences(bpy.types.AddonPreferences):
    bl_idname = ADDON

    python: bpy.props.StringProperty(
        name="Backend's Python",
        description="The Python in which the backend is installed; empty to look for it",
        subtype="FILE_PATH",
    )
    start_automatically: bpy.props.BoolProperty(
        name="Start the backend when needed",
        description="Start the backend on this computer when a portrait is registered or a frame is rendered",
        default=True,
    )
    address: bpy.props.StringProperty(
        name="Address",
        description="A backend on another computer, such as tcp://render.local:5555; empty for this computer's own",
    )
    keys: bpy.props.StringProperty(
        name="Keys",
        description="The folder with the keys for a backend on another computer",
        subtype="DIR_PATH",
    )
    device: bpy.props.EnumProperty(
        name="Device",
        description="What the backend computes with; takes effect when it starts next",
        items=[
            ("auto", "Automatic", "The GPU if there is one"),
            ("cuda", "GPU", "An NVIDIA GPU"),
            ("cpu", "CPU", "The processor, even if there is a GPU"),
        ],
        default="auto",
    )
    models: bpy.props.StringProperty(
        name="Model folder",
        description="Where your own head models and weights lie; empty for the backend's own folder",
        subtype="DIR_PATH",
    )
    environment: bpy.props.StringProperty(
        name="Environment",
        description="The folder that Install full backend fills with a Python environment of its own",
        subtype="DIR_PATH",
    )
    timeout: bpy.props.FloatProperty(
        name="Time limit",
        description="Give up a frame or a portrait that takes the backend longer than this",
        default=DEFAULT_TIMEOUT,
        min=1.0,
        soft_max=3600.0,
        subtype="TIME_ABSOLUTE",
        unit="TIME_ABSOLUTE",
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "address")
        if self.address:
            layout.prop(self, "keys")
        else:
            layout.prop(self, "python")
            layout.prop(self, "start_automatically")
            layout.prop(self, "device")
            layout.prop(self, "models")
            box = layout.box()
            box.prop(self, "environment", placeholder=str(installer.default_folder()))
            installer.draw(box)
        layout.prop(self, "timeout")


@dataclass(frozen=True)
class ConnectionSettings:
    """The preferences as plain values, so that a render thread can read them at leisure."""

    command: tuple[str, ...] | None = None
    arguments: tuple[str, ...] = ()
    models: str = ""
    start_automatically: bool = True
    address: str = ""
    keys: str = ""
    timeout: float = DEFAULT_TIMEOUT

    @property
    def environment(self) -> dict[str, str]:
        """Variables for the backend's process."""
        return {"TURBOPORTRAIT_MODELS": self.models} if self.models else {}


def connection() -> ConnectionSettings:
    """What the user chose; the defaults where the extension runs without being enabled."""
    addon = bpy.context.preferences.addons.get(ADDON)
    chosen = addon.preferences if addon else None
    if chosen is None:
        return ConnectionSettings(command=backend_command(""))
    return ConnectionSettings(
        command=backend_command(chosen.python),
        arguments=("--device", chosen.device) if chosen.device != "auto" else (),
        models=bpy.path.abspath(chosen.models) if chosen.models else "",
        start_automatically=chosen.start_automatically,
        address=chosen.address.strip(),
        keys=bpy.path.abspath(chosen.keys) if chosen.keys else "",
        timeout=chosen.timeout,
    )


def backend_command(python: str) -> tuple[str, ...] | None:
    """The command that serves.

    By the Python chosen, else by TURBOPORTRAIT_PYTHON, else by the installed environment, else what came in the zip,
    else by the command on the path.
    """
    chosen = bpy.path.abspath(python) if python else os.environ.get("TURBOPORTRAIT_PYTHON", "")
    chosen = chosen or installer.installed_python() or ""
    if not chosen and not bpy.app.binary_path and not bundled.is_packed():
        # Blender as a Python module: the Python that runs it.
        chosen = sys.executable
    if chosen:
        return (*python_module("backend.commands", Path(chosen)), "serve")
    if bundled.is_packed():
        return bundled.command("serve")
    found = find_program("turboportrait")
    return (found, "serve") if found else None


def register() -> None:
    bpy.utils.register_class(TurboPortraitPreferences)


def unregister() -> None:
    bpy.utils.unregister_class(TurboPortraitPreferences)
