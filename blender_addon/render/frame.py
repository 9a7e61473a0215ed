"""One frame of a render: what its cameras see, at one moment or at several within the shutter's time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import bpy
import numpy as np

from ..live import session
from ..scene.compositing import composite
from ..scene.head_requests import HeadRequest, camera_viewpoint, heads_seen_from
from .stereo import eyes_of

FrameSet = Callable[[int, float], None]
"""Evaluates the render's dependency graph at a frame and a sub-frame (`RenderEngine.frame_set`)."""
RenderHeads = Callable[[list[HeadRequest]], Sequence[Sequence]]
"""Gives `views[head][camera]`, waiting for the backend."""
Picture = tuple[np.ndarray, np.ndarray]
"""Colour (H, W, 4) float32, linear and premultiplied, and depth (H, W)."""


def frame_requests(
    engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph, views: Sequence[str]
) -> list[list[HeadRequest]]:
    """The heads at each of the shutter's moments; one alone where nothing moves or motion blur is off.

    Args:
        views: the stereo views that are rendered, [""] for a single camera; they are each request's first views.

    Raises:
        CameraError, ValueError: as `head_requests`.
    """
    scene = depsgraph.scene
    moments = shutter_moments(scene, scene.frame_current_final)
    if len(moments) == 1:
        return [_requests(depsgraph, views)]
    frame, subframe = scene.frame_current, scene.frame_subframe
    try:
        requests = []
        for moment in moments:
            engine.frame_set(math.floor(moment), moment - math.floor(moment))
            requests.append(_requests(depsgraph, views))
    finally:
        engine.frame_set(frame, subframe)
    return requests if any(request != requests[0] for request in requests) else requests[:1]


def shutter_moments(scene: bpy.types.Scene, now: float) -> list[float]:
    """Frames within the time that the shutter is open about a frame, evenly; that frame alone without motion blur."""
    render = scene.render
    count = scene.turboportrait.motion_blur_steps
    if not render.use_motion_blur or count == 1:
        return [now]
    begin = {"START": 0.0, "CENTER": -0.5, "END": -1.0}[render.motion_blur_position]
    return [now + render.motion_blur_shutter * (begin + (step + 0.5) / count) for step in range(count)]


def pictures(
    requests: Sequence[list[HeadRequest]], render: RenderHeads, count: int, width: int, height: int
) -> list[Picture]:
    """Each of the first `count` cameras' picture: the mean of all moments, with the middle one's depth."""
    colors = np.zeros((count, height, width, 4), np.float32)
    depths: list[np.ndarray] = []
    for number, heads in enumerate(requests):
        views = render(heads) if heads else []
        for camera in range(count):
            color, depth = composite(
                [seen[camera] for seen in views], [head.views[camera].scale for head in heads], width, height
            )
            colors[camera] += color / np.float32(len(requests))
            if number == len(requests) // 2:
                depths.append(depth)
    return list(zip(colors, depths, strict=True))


def _requests(depsgraph: bpy.types.Depsgraph, views: Sequence[str]) -> list[HeadRequest]:
    scene = depsgraph.scene
    cameras = [eyes_of(scene, scene.camera, depsgraph, view) for view in views]
    if scene.turboportrait.joint:
        cameras += [(other, None) for other in joint_cameras(scene) if other not in [camera for camera, _ in cameras]]
    viewpoints = [camera_viewpoint(camera, scene.render, depsgraph, eye=eye) for camera, eye in cameras]
    return heads_seen_from(depsgraph, viewpoints, now=True)


def joint_cameras(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The cameras beside the active one whose views are refined together with its own."""
    groups = session.camera_groups(scene)
    return groups[0][1:] if groups else []
