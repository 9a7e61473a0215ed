"""Blender's cameras and axes to the wire's and back.

Blender is z up and its cameras look along -z with y up; head space is y up with the face towards +z; cameras on the
wire have OpenCV's axes (x right, y down, z forward). A head object without transforms shows its face towards -y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import bpy
import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_
from mathutils import Matrix

from backend.protocol.camera import Camera

HEAD_TO_BLENDER = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""Head space to the head object's local space: (x, y, z) becomes (x, -z, y)."""
FLIP_CAMERA = np.diag([1.0, -1.0, -1.0, 1.0])
"""Blender's camera axes to OpenCV's; its own inverse."""
UNEVEN_SCALE = 1e-3


class CameraError(ValueError):
    """A camera or a head transform that no pinhole camera over head space can express."""


@dataclass(frozen=True)
class HeadView:
    """What one Blender camera sees of one head.

    Attributes:
        camera: the camera over head space, for the wire.
        scale: depth from the wire times this is depth in the scene, in Blender units along the camera's axis.
        mirrored: Blender's camera sees the wire's picture with left and right exchanged.
    """

    camera: Camera
    scale: float
    mirrored: bool = False


class Eye(NamedTuple):
    """One of a stereo camera's two: its world matrix, and its lens shift along x."""

    matrix: Matrix
    shift_x: float


def head_to_blender(points: np.ndarray) -> np.ndarray:
    """Points (..., 3) of head space in the head object's local space (..., 3)."""
    return points @ HEAD_TO_BLENDER.T


def blender_to_head(points: np.ndarray) -> np.ndarray:
    """Points (..., 3) of the head object's local space in head space (..., 3)."""
    return points @ HEAD_TO_BLENDER


def render_size(render: bpy.types.RenderSettings) -> tuple[int, int]:
    """The whole frame's (width, height) in pixels, after the resolution percentage."""
    percentage = render.resolution_percentage
    return max(render.resolution_x * percentage // 100, 1), max(render.resolution_y * percentage // 100, 1)


def render_window(render: bpy.types.RenderSettings) -> tuple[int, int, int, int]:
    """The part of the frame that is rendered: (x0, y0, width, height), pixels, y0 counted from the top edge.

    It is the whole frame unless a render border is set; Blender rounds a border's edges to whole pixels as here.
    """
    width, height = render_size(render)
    if not render.use_border:
        return 0, 0, width, height
    # Blender multiplies its 32 bit floats: the same sum in 64 bits can fall on the other side of a whole pixel.
    left, right = (int(np.float32(x) * np.float32(width)) for x in (render.border_min_x, render.border_max_x))
    bottom, top = (int(np.float32(y) * np.float32(height)) for y in (render.border_min_y, render.border_max_y))
    return left, height - top, max(right - left, 1), max(top - bottom, 1)


def split_scale(matrix: Matrix) -> tuple[np.ndarray, float]:
    """A transform as its rigid part (4, 4) and its uniform scale.

    Raises:
        CameraError: the transform stretches, shears, mirrors or flattens.
    """
    matrix = np.array(matrix, float)
    linear = matrix[:3, :3]
    determinant = np.linalg.det(linear)
    if not np.isfinite(matrix).all() or determinant <= 0:
        raise CameraError(rpt_("The head object is mirrored or has no size: give it one positive scale"))
    scale = float(np.cbrt(determinant))
    if np.abs(linear.T @ linear / scale**2 - np.eye(3)).max() > UNEVEN_SCALE:
        raise CameraError(rpt_("The head object is stretched: give it the same scale along x, y and z"))
    # The nearest rotation: Blender's matrices are 32 bit, the wire's camera shall be rigid.
    u, _, vt = np.linalg.svd(linear)
    rigid = matrix.copy()
    rigid[:3, :3] = u @ vt
    return rigid, scale


def intrinsics(
    camera: bpy.types.Object, render: bpy.types.RenderSettings, depsgraph: bpy.types.Depsgraph
) -> np.ndarray:
    """(3, 3), pixels of the whole frame: sensor fit, lens shift and pixel aspect are all in Blender's own matrix.

    Raises:
        CameraError: the object is no camera or its lens is not a perspective one.
    """
    if camera is None or camera.type != "CAMERA":
        raise CameraError(rpt_("The scene has no camera: add one or make one active"))
    if camera.data.type != "PERSP":
        kinds = {"ORTHO": rpt_("orthographic"), "PANO": rpt_("panoramic")}
        said = rpt_("'{camera}' is {kind}: portraits need a camera whose lens type is Perspective")
        kind = kinds.get(camera.data.type, camera.data.type.lower())
        raise CameraError(said.format(camera=camera.name, kind=kind))
    width, height = render_size(render)
    projection = camera.calc_matrix_camera(
        depsgraph, x=width, y=height, scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
    )
    return _intrinsics_of(projection, width, height)


def _intrinsics_of(projection: Matrix, width: int, height: int) -> np.ndarray:
    """(3, 3), pixels, of Blender's (OpenGL's) perspective projection onto a frame of this size."""
    matrix = np.array(projection, float)
    return np.array(
        [
            [matrix[0, 0] * width / 2, 0, (1 - matrix[0, 2]) * width / 2],
            [0, matrix[1, 1] * height / 2, (1 + matrix[1, 2]) * height / 2],
            [0, 0, 1],
        ]
    )


def view_of_head(
    camera: bpy.types.Object,
    head_matrix: Matrix,
    render: bpy.types.RenderSettings,
    depsgraph: bpy.types.Depsgraph,
    whole: bool = False,
    eye: Eye | None = None,
) -> HeadView:
    """The camera over head space that sees what `camera` sees of a head at `head_matrix`.

    Args:
        camera: the camera object, evaluated or not; lens and place are taken from the dependency graph.
        head_matrix: the head object's world matrix: rotation, translation and one positive scale.
        render: resolution, pixel aspect and border; with a border the camera is that of the bordered part.
        whole: have the whole frame, whatever the border.
        eye: of a stereo camera the one that sees.

    Raises:
        CameraError: a lens or a transform that a pinhole camera can't express.
    """
    evaluated = camera.evaluated_get(depsgraph) if camera else camera
    K = intrinsics(evaluated, render, depsgraph)
    x0, y0, width, height = (0, 0, *render_size(render)) if whole else render_window(render)
    matrix = evaluated.matrix_world
    if eye is not None:
        K[0, 2] -= (eye.shift_x - evaluated.data.shift_x) * _shift_pixels(evaluated.data, K)
        matrix = eye.matrix
    K[0, 2] -= x0
    K[1, 2] -= y0
    # A camera's own scale does not matter to Blender, along each of its axes: what is left is a mirror or a shear.
    return _head_view(K, matrix.normalized().inverted_safe(), head_matrix, width, height)


def _shift_pixels(camera: bpy.types.Camera, K: np.ndarray) -> float:
    """How many pixels a lens shift of 1 along x is."""
    sensor = camera.sensor_height if camera.sensor_fit == "VERTICAL" else camera.sensor_width
    return K[0, 0] * sensor / camera.lens


def view_from_viewport(region: bpy.types.Region, view: bpy.types.RegionView3D, head_matrix: Matrix) -> HeadView:
    """The camera over head space that sees what a region of a 3D viewport shows, freely or through a camera.

    Raises:
        CameraError: the view is orthographic, or `head_matrix` is stretched.
    """
    if not view.is_perspective:
        raise CameraError(rpt_("This view is orthographic: press Numpad 5 for perspective, or Numpad 0 for the camera"))
    K = _intrinsics_of(view.window_matrix, region.width, region.height)
    return _head_view(K, view.view_matrix, head_matrix, region.width, region.height)


def _head_view(K: np.ndarray, world_to_view: Matrix, head_matrix: Matrix, width: int, height: int) -> HeadView:
    """`world_to_view` leads from the world to Blender's camera axes.

    It may mirror and shear: as Cycles does, Blender takes a camera's axes as they are, each with length one. Such a
    projection is a rigid pinhole's of other intrinsics, seen in a mirror perhaps (Hartley & Zisserman, Multiple View
    Geometry, 6.2.4).
    """
    rigid, scale = split_scale(head_matrix)
    head_local = np.eye(4)
    head_local[:3, :3] = HEAD_TO_BLENDER
    projection = K @ (FLIP_CAMERA @ np.array(world_to_view, float) @ rigid @ head_local)[:3]
    mirrored = bool(np.linalg.det(projection[:, :3]) < 0)
    if mirrored:
        projection = np.array([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]]) @ projection
    triangular, rotation = _rq(projection[:, :3])
    depth_scale = triangular[2, 2]
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = rotation
    # A pinhole sees a big head far away as a small one near by: scale is distance.
    world_to_camera[:3, 3] = np.linalg.solve(triangular, projection[:, 3]) / scale
    triangular = np.triu(triangular / depth_scale)
    return HeadView(Camera.from_arrays(triangular, world_to_camera, width, height), scale * depth_scale, mirrored)


def _rq(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A matrix (3, 3) of positive determinant as upper triangular, with a positive diagonal, times a rotation."""
    orthogonal, triangular = np.linalg.qr(matrix[::-1].T)
    triangular, orthogonal = triangular.T[::-1, ::-1], orthogonal.T[::-1]
    signs = np.sign(np.diag(triangular))
    return triangular * signs, signs[:, None] * orthogonal


def place_camera(target: bpy.types.Object, camera: Camera, head_matrix: Matrix, pixel_aspect: float = 1.0) -> None:
    """Make a Blender camera object see a head as a wire camera does; the reverse of `view_of_head`.

    The render resolution is the caller's: it must have the camera's aspect.

    Args:
        pixel_aspect: Blender's pixel_aspect_y / pixel_aspect_x.

    Raises:
        CameraError: skewed intrinsics, or focal lengths that disagree with the pixel aspect.
    """
    K = camera.intrinsics
    if abs(K[0, 1]) > 1e-6 * K[0, 0] or abs(K[0, 0] / K[1, 1] / pixel_aspect - 1) > 1e-4:
        raise CameraError(rpt_("This camera's pixels are skewed or not square: set the render's pixel aspect to match"))
    data = target.data
    data.type = "PERSP"
    data.sensor_fit = "HORIZONTAL"
    data.lens_unit = "MILLIMETERS"
    data.lens = K[0, 0] * data.sensor_width / camera.width
    data.shift_x = 0.5 - K[0, 2] / camera.width
    data.shift_y = (K[1, 2] - camera.height / 2) * pixel_aspect / camera.width
    rigid, scale = split_scale(head_matrix)
    world_to_camera = camera.extrinsics
    world_to_camera[:3, 3] *= scale
    head_local = np.eye(4)
    head_local[:3, :3] = HEAD_TO_BLENDER
    place = rigid @ head_local @ np.linalg.inv(world_to_camera) @ FLIP_CAMERA
    target.matrix_world = Matrix(place.tolist())
