"""Cameras for heads: framing, turntable and dolly as ordinary keyframes, cuts by timeline markers."""

from __future__ import annotations

import math

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from mathutils import Matrix, Vector

from .camera import CameraError, split_scale
from .head import units_per_metre

FRAMED_METRES = 0.42
"""Head space that a framed head's picture shows along its shorter side: the head with some room."""
NEAR_METRES, FAR_METRES = 0.1, 1000.0
"""Blender's own clip range for new cameras."""
CAMERA_METRES = 0.1
"""The size of a camera's wire: Blender's own, one metre, dwarfs a head."""
VIEWED_METRES = 1.2
"""From a viewport to a head that is brought into view: its width then shows about twice the head."""
VIEWED_FROM = (math.radians(25), math.radians(8))
"""Radians to the head's left and above, where the photo and the rig are both well seen."""
BELOW_EYES = Vector((0.0, 0.02, -0.03))
"""From between the eyes to the middle of the head, metres, in the head object's space."""


def head_centre(head: bpy.types.Object) -> Vector:
    """The middle of the head at rest, in the world."""
    bones = head.data.bones
    eyes = [bones[name].head_local for name in ("eye_left", "eye_right") if name in bones]
    if not eyes:
        said = rpt_("The head '{head}' has lost its eyes' bones: undo, or add the head anew")
        raise CameraError(said.format(head=head.name))
    return head.matrix_world @ (sum(eyes, Vector()) / len(eyes) + BELOW_EYES)


def frame_head(scene: bpy.types.Scene, head: bpy.types.Object, camera: bpy.types.Object) -> None:
    """Put a camera before the face so that the head fills its frame; its lens stays."""
    if camera.type != "CAMERA" or camera.data.type != "PERSP":
        raise CameraError(rpt_("'{camera}' is no camera with a perspective lens").format(camera=camera.name))
    rigid, scale = split_scale(head.matrix_world)
    centre = head_centre(head)
    frame = camera.data.view_frame(scene=scene)
    depth = -frame[0].z
    side = min(max(abs(c.x) for c in frame), max(abs(c.y) for c in frame)) * 2
    distance = FRAMED_METRES * scale * depth / side
    rotation = Matrix(rigid[:3, :3].tolist())
    # A camera looks along its -z with y up; the face is towards the head object's -y.
    looking = rotation @ Matrix.Rotation(math.pi / 2, 3, "X")
    place = looking.to_4x4()
    place.translation = centre + rotation @ Vector((0, -distance, 0))
    camera.matrix_world = place


def view_head(context: bpy.types.Context, head: bpy.types.Object) -> None:
    """Bring a head with its photo into view in the largest 3D viewport; one that looks through a camera goes on to."""
    areas = [area for area in (context.screen.areas if context.screen else ()) if area.type == "VIEW_3D"]
    if not areas:
        return
    space = max(areas, key=lambda area: area.width * area.height).spaces.active
    view = space.region_3d
    # Solid shading shows the photo then, not a grey bust.
    space.shading.color_type = "TEXTURE"
    if view.view_perspective != "CAMERA":
        rigid, scale = split_scale(head.matrix_world)
        view.view_location, view.view_distance = head_centre(head), VIEWED_METRES * scale
        aside, down = Matrix.Rotation(VIEWED_FROM[0], 3, "Z"), Matrix.Rotation(math.pi / 2 - VIEWED_FROM[1], 3, "X")
        view.view_rotation = (Matrix(rigid[:3, :3].tolist()) @ aside @ down).to_quaternion()


def add_camera(context: bpy.types.Context, head: bpy.types.Object) -> bpy.types.Object:
    """A new camera that frames a head, active if the scene has none."""
    data = bpy.data.cameras.new(f"{head.name} camera")
    data.lens = 85.0
    size_camera(data, units_per_metre(context.scene))
    camera = bpy.data.objects.new(data.name, data)
    context.collection.objects.link(camera)
    frame_head(context.scene, head, camera)
    if context.scene.camera is None:
        context.scene.camera = camera
    return camera


def size_camera(data: bpy.types.Camera, units: float) -> None:
    """Give a new camera the size and the clip range that suit a head, `units` Blender units being a metre."""
    data.display_size = CAMERA_METRES * units
    data.clip_start, data.clip_end = NEAR_METRES * units, FAR_METRES * units


def turntable(
    context: bpy.types.Context, head: bpy.types.Object, camera: bpy.types.Object, first: int, last: int, angle: float
) -> bpy.types.Object:
    """Have a camera travel round a head by `angle` radians, half before and half after the front; returns the pivot."""
    pivot = bpy.data.objects.new(f"{camera.name} turntable", None)
    pivot.empty_display_size = 0.1 * units_per_metre(context.scene)
    # With z innermost the pivot turns about its own upright axis, however the head leans.
    pivot.rotation_mode = "ZYX"
    context.collection.objects.link(pivot)
    rigid, _ = split_scale(head.matrix_world)
    place = Matrix(rigid.tolist())
    place.translation = head_centre(head)
    pivot.matrix_world = place
    context.view_layer.update()
    world = camera.matrix_world.copy()
    camera.parent = pivot
    camera.matrix_parent_inverse = pivot.matrix_world.inverted()
    camera.matrix_world = world
    start = pivot.rotation_euler.z
    for frame, share in ((first, -0.5), (last, 0.5)):
        pivot.rotation_euler.z = start + share * angle
        pivot.keyframe_insert("rotation_euler", index=2, frame=frame)
    _linear(pivot)
    return pivot


def dolly(
    head: bpy.types.Object, camera: bpy.types.Object, first: int, last: int, factor: float, hold_size: bool
) -> None:
    """Move a camera towards the head (factor < 1) or away from it; with `hold_size` its lens keeps the head's size."""
    centre = head_centre(head)
    place, lens = camera.matrix_world.copy(), camera.data.lens
    away = place.translation - centre
    for frame, share in ((first, 1.0), (last, factor)):
        moved = place.copy()
        moved.translation = centre + share * away
        camera.matrix_world = moved
        camera.keyframe_insert("location", frame=frame)
        if hold_size:
            camera.data.lens = lens * share
            camera.data.keyframe_insert("lens", frame=frame)


def cut_to(scene: bpy.types.Scene, camera: bpy.types.Object, frame: int) -> bpy.types.TimelineMarker:
    """Make a camera active from a frame on: a timeline marker bound to it, in place of another at that frame."""
    for marker in [marker for marker in scene.timeline_markers if marker.frame == frame and marker.camera]:
        scene.timeline_markers.remove(marker)
    marker = scene.timeline_markers.new(camera.name, frame=frame)
    marker.camera = camera
    return marker


def _linear(thing: bpy.types.Object) -> None:
    """Let keyframes just set move evenly: a turntable has no easing."""
    action = thing.animation_data.action
    # Blender 4.4 and later keep curves in layers; `fcurves` is gone in 5.0.
    curves = getattr(action, "fcurves", None)
    if curves is None:
        slot = thing.animation_data.action_slot
        curves = action.layers[0].strips[0].channelbag(slot).fcurves
    for curve in curves:
        for point in curve.keyframe_points:
            point.interpolation = "LINEAR"
