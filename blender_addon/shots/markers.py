"""The shots of a scene: its timeline markers that are bound to cameras."""

from __future__ import annotations

from fractions import Fraction

import bpy

from backend.protocol.names import safe_name
from backend.protocol.shots import Shot


def marker_shots(scene: bpy.types.Scene) -> list[Shot]:
    """A shot per marker with a camera, up to the next one; the scene's own camera over all frames without markers.

    Frames before the first marker belong to no shot; markers outside the scene's range are cut to it or left out.
    """
    bound = sorted((m for m in scene.timeline_markers if m.camera is not None), key=lambda m: m.frame)
    if not bound:
        name = scene.camera.name if scene.camera else ""
        return [Shot(safe_name(scene.name), scene.frame_start, scene.frame_end, name)] if name else []
    shots = []
    for marker, following in zip(bound, [*bound[1:], None], strict=True):
        last = scene.frame_end if following is None else min(following.frame - 1, scene.frame_end)
        first = max(marker.frame, scene.frame_start)
        if first <= last:
            shots.append(Shot(safe_name(marker.name), first, last, marker.camera.name))
    return shots


def frame_rate(scene: bpy.types.Scene) -> Fraction:
    """Frames per second as Blender keeps them: a whole number over a base such as 1.001."""
    base = Fraction(scene.render.fps_base).limit_denominator(10_000)
    return Fraction(scene.render.fps) / base
