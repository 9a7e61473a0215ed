"""Stereoscopy and multi-view: which views a render has, and which camera or eye sees each."""

from __future__ import annotations

import math

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from mathutils import Matrix

from backend.protocol.pose_file import SceneView

from ..scene.camera import CameraError, Eye


def rendered_views(render: bpy.types.RenderSettings) -> list[SceneView]:
    """The views that are rendered, with the suffixes of their files; one without a name where they are switched off."""
    if not render.use_multiview:
        return [SceneView()]
    views = render.stereo_views if render.views_format == "STEREO_3D" else render.views
    rendered = [SceneView(view.name, view.file_suffix) for view in views if view.use]
    # Until Blender 4.4 a view that is rendered alone has no suffix.
    return [SceneView(rendered[0].name)] if len(rendered) == 1 and bpy.app.version < (4, 5) else rendered


def eyes_of(
    scene: bpy.types.Scene, camera: bpy.types.Object | None, depsgraph: bpy.types.Depsgraph, view: str
) -> tuple[bpy.types.Object | None, Eye | None]:
    """The camera that sees a view of what `camera` is to see, and for Stereo 3D which of its eyes does.

    Raises:
        CameraError: there is no camera for the view.
    """
    if not view or camera is None or camera.type != "CAMERA":
        return camera, None
    if scene.render.views_format == "MULTIVIEW":
        return camera_of_view(scene, camera, view), None
    return camera, stereo_eye(camera.evaluated_get(depsgraph), left=view == "left")


def stereo_eye(camera: bpy.types.Object, left: bool) -> Eye:
    """One of an evaluated camera's two, as in Blender's `BKE_camera_multiview_model_matrix` and `_shift_x`.

    The eyes lie on the camera's x axis, and what they converge on is the plane at the convergence distance: off-axis
    shifts the lens for that, toe-in turns the eyes, parallel does neither.
    """
    data, stereo = camera.data, camera.data.stereo
    matrix = camera.matrix_world.normalized()
    if stereo.pivot == ("LEFT" if left else "RIGHT"):
        return Eye(matrix, data.shift_x)
    centred, side = stereo.pivot == "CENTER", 1 if left else -1
    apart = side * stereo.interocular_distance * (0.5 if centred else 1)
    move = Matrix.Translation((-apart, 0, 0))
    if stereo.convergence_mode == "TOE":
        half = side * math.atan2(stereo.interocular_distance / 2, stereo.convergence_distance)
        turn = Matrix.Rotation(-half, 4, "Y")
        # About an eye that stands still the other one goes half of its turn, then on, then turns the other half.
        return Eye(matrix @ (move if centred else turn @ move) @ turn, data.shift_x)
    converged = apart * data.lens / (data.sensor_width * stereo.convergence_distance)
    return Eye(matrix @ move, data.shift_x + converged * (stereo.convergence_mode == "OFFAXIS"))


def camera_of_view(scene: bpy.types.Scene, camera: bpy.types.Object, view: str) -> bpy.types.Object:
    """The camera whose name has the view's suffix where the given one's has another's, as Blender finds it.

    Raises:
        CameraError: neither is there one, nor is the given one the view's own.
    """
    views = scene.render.views
    wanted = views[view].camera_suffix
    suffixes = [each.camera_suffix for each in views if camera.name.endswith(each.camera_suffix)]
    if suffixes:
        found = scene.objects.get(camera.name.removesuffix(max(suffixes, key=len)) + wanted)
        if found is not None and found.type == "CAMERA":
            return found
    if camera.name.endswith(wanted):
        return camera
    said = rpt_("'{camera}' is no multi-view camera: the view '{view}' needs one whose name ends in '{suffix}'")
    raise CameraError(said.format(camera=camera.name, view=view, suffix=wanted))
