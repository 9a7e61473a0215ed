"""How views are rendered: the scene's settings as plain values, for renders and previews alike."""

from __future__ import annotations

from dataclasses import dataclass

import bpy


@dataclass(frozen=True)
class RenderOptions:
    """See `backend.protocol.messages.Render`."""

    refined: bool = True
    preset: str = "compact"
    noise_level: float = 0.1
    joint: bool = True
    priority: str = "batch"

    @classmethod
    def of(cls, scene: bpy.types.Scene, priority: str = "batch") -> RenderOptions:
        """The scene's own; `priority` is "live" for what a newer request may replace, else "batch"."""
        chosen = scene.turboportrait
        return cls(chosen.output == "REFINED", chosen.preset, chosen.noise_level, chosen.joint, priority)
