"""Stereoscopy and multi-view: which views a render has, and which camera or eye sees each."""

from __future__ import annotations

import bpy

from ..scene.camera import Eye


def view_names(render: bpy.types.RenderSettings) -> list[str]:
    """The views that are rendered; [""] where there is one only."""
    if not render.use_multiview:
        return [""]
    views = render.stereo_views if render.views_format == "STEREO_3D" else render.views
    return [view.name for view in views if view.use]


def eyes_of(
    engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph, view: str
) -> tuple[bpy.types.Object, Eye | None]:
    """The camera that sees a view, and for Stereo 3D which of its eyes does."""
    scene = depsgraph.scene
    camera, render = scene.camera, scene.render
    if not view or camera is None or camera.type != "CAMERA":
        return camera, None
    if render.views_format == "MULTIVIEW":
        return camera_of_view(scene, camera, view), None
    engine.active_view_set(view)
    evaluated = camera.evaluated_get(depsgraph)
    return camera, Eye(engine.camera_model_matrix(evaluated), engine.camera_shift_x(evaluated))


def camera_of_view(scene: bpy.types.Scene, camera: bpy.types.Object, view: str) -> bpy.types.Object:
    """The camera whose name has the view's suffix where the active one's has another's, as Blender finds it."""
    views = scene.render.views
    suffixes = [each.camera_suffix for each in views if camera.name.endswith(each.camera_suffix)]
    if not suffixes:
        return camera
    stem = camera.name.removesuffix(max(suffixes, key=len))
    found = scene.objects.get(stem + views[view].camera_suffix)
    return camera if found is None or found.type != "CAMERA" else found
