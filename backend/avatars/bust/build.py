"""The bust of a tracked portrait: head model, hair, torso and teeth over one atlas."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from backend.avatars.bust.anatomy import Anatomy
from backend.avatars.bust.atlas import HAIR_BOX, HEAD_BOX, SIZE, SMALL_BOX, TEETH_BOX, TORSO_BOX
from backend.avatars.bust.chart import RadialChart
from backend.avatars.bust.fill import smooth_vertices
from backend.avatars.bust.hair import HairSurface, build_hair, head_chart, skull_radius
from backend.avatars.bust.islands import unwrap_head
from backend.avatars.bust.mouth import LIP_RING, Teeth, build_teeth
from backend.avatars.bust.occlusion import ambient_occlusion
from backend.avatars.bust.outline import (
    FRONTAL,
    REACH,
    REACH_AT_HAIR,
    SURE,
    bare_outline,
    fit_height,
    fit_skull,
    hair_outline,
    keep_inside,
    meet_outline,
    scale_radially,
)
from backend.avatars.bust.paint_hair import paint_hair
from backend.avatars.bust.paint_head import paint_head
from backend.avatars.bust.paint_torso import paint_torso
from backend.avatars.bust.part import Part, join, joint_weights
from backend.avatars.bust.portrait import Portrait
from backend.avatars.bust.torso import TorsoSurface, build_torso, tuck_neck
from backend.geometry.rasterizer import Raster, interpolate, rasterize
from backend.protocol.camera import Camera
from backend.protocol.rigged_mesh import RiggedMesh
from backend.tracking import TrackedPortrait
from backend.tracking.landmarks import FACE_OVAL
from flame import HeadModel
from flame.geometry import vertex_normals

CHIN = 152
UNDER_TORSO = 0.02
"""Metres that the head's surface goes on below the neck's lower end."""
FALLS_OVER = 0.08
"""Metres below the chin over which hair stops following the head and lies on the shoulders."""
BEYOND_PHOTO = 0.04
"""Metres that surfaces go on below the photo's end, which the nearer ones meet lower than the head's middle."""


OPENNESS_ROUNDS = 6


def build_bust(tracked: TrackedPortrait, portrait: Portrait, model: HeadModel) -> tuple[RiggedMesh, np.ndarray]:
    """The mesh, and which of its vertices (N,) bool are the torso's: they follow no head.

    Args:
        portrait: the same portrait as `tracked`, with its regions.
    """
    camera, anatomy = tracked.camera, Anatomy.of(model)
    vertices = tracked.vertices.astype(float)
    lowest = _lowest(portrait, vertices)
    above_torso = model.faces[~anatomy.torso[model.faces].any(1)]
    vertices = fit_to_outline(portrait, model, anatomy, vertices, above_torso, lowest)
    hair = build_hair(portrait, anatomy, vertices, model.faces, lowest)
    torso = build_torso(portrait, model, anatomy, vertices, _seen(camera, vertices, above_torso).covered, lowest)
    end = vertices[anatomy.neck, 1].min() - UNDER_TORSO
    faces = model.faces[~(anatomy.torso & (vertices[:, 1] < end))[model.faces].any(1)]
    vertices = _ended(portrait, tuck_neck(vertices, torso))
    head_seen = _seen(camera, vertices, faces)
    torso_seen = _seen(camera, torso.chart.points(torso.radius).reshape(-1, 3), torso.chart.faces())

    atlas, confidence = np.zeros((SIZE, SIZE, 4), np.float32), np.zeros((SIZE, SIZE), np.float32)
    hair_layer = None if hair is None else paint_hair(portrait, hair)
    torso_layer = paint_torso(portrait, torso, head_seen.depth < torso_seen.depth)
    chart = head_chart(anatomy, vertices, end)
    lips = model.landmark_positions(vertices)[list(LIP_RING)]
    corners = unwrap_head(anatomy, lips, vertices, faces, chart, HEAD_BOX, SMALL_BOX)
    normals = vertex_normals(vertices, model.faces)
    under = None if hair is None or hair_layer is None else (hair, hair_layer)
    openness = _openness(vertices, normals, faces, hair, torso)
    jaw = anatomy.along_jaw(model, vertices)
    head_layer = paint_head(
        portrait,
        vertices,
        faces,
        corners,
        normals,
        anatomy.skin,
        anatomy.ears,
        anatomy.neck | anatomy.torso,
        head_seen.depth,
        openness,
        jaw,
        under,
    )
    for box, layer in ((HEAD_BOX.beside(SMALL_BOX), head_layer), (HAIR_BOX, hair_layer), (TORSO_BOX, torso_layer)):
        if layer is not None:
            atlas[box.slices], confidence[box.slices] = layer.rgba, layer.confidence
    brightness = float(portrait.sample(portrait.color, tracked.landmarks[list(FACE_OVAL), :2]).mean())
    teeth = build_teeth(tracked, model, camera.to_camera(vertices), brightness)
    parts = [Part(vertices, faces, corners, model.lbs_weights), _teeth_part(teeth, camera, portrait, atlas)]
    if hair is not None:
        chin = model.landmark_positions(vertices)[CHIN, 1]
        follows = np.clip(1 - (chin - hair.chart.points(hair.tucked)[..., 1]) / FALLS_OVER, 0, 1)
        parts.append(Part.of_chart(hair.chart, hair.tucked, HAIR_BOX, atlas[..., 3], follows))
    still = np.zeros(torso.chart.shape)
    parts.append(Part.of_chart(torso.chart, torso.radius, TORSO_BOX, atlas[..., 3], still, cloth=True))
    return join(tracked, model, parts, atlas, confidence)


def fit_to_outline(
    portrait: Portrait, model: HeadModel, anatomy: Anatomy, vertices: np.ndarray, faces: np.ndarray, lowest: float
) -> np.ndarray:
    """The head (V, 3) drawn to the person's outline.

    Args:
        faces: (F, 3) head and neck alone.
    """
    chart: RadialChart = head_chart(anatomy, vertices, lowest)
    skull = skull_radius(chart, anatomy, vertices, model.faces)
    vertices = fit_height(portrait, chart, skull, vertices)
    factors = fit_skull(chart, portrait, skull_radius(chart, anatomy, vertices, model.faces))
    vertices = np.where(anatomy.eyes[:, None], vertices, scale_radially(chart, factors, vertices))
    movable = np.zeros(len(vertices), bool)
    movable[np.unique(faces)] = True
    movable &= ~anatomy.eyes
    normals = vertex_normals(vertices, model.faces)
    ears = anatomy.ear_left, anatomy.ear_right
    seen = _seen(portrait.camera, vertices, faces)
    vertices = meet_outline(portrait, bare_outline(portrait), REACH, vertices, normals, movable, ears, seen)
    # Hair beside a face begins behind its outline, and ears may be under it.
    sides = movable & ~(anatomy.ears | anatomy.neck | anatomy.scalp)
    seen = _seen(portrait.camera, vertices, faces[~anatomy.ears[faces].any(1)])
    vertices = meet_outline(portrait, hair_outline(portrait), REACH_AT_HAIR, vertices, normals, sides, ears, seen)
    steep = sides & (portrait.facing(vertices, normals) < FRONTAL)
    vertices = keep_inside(portrait, portrait.cover < 1 - SURE, REACH_AT_HAIR * portrait.size, vertices, steep)
    person = ndimage.binary_erosion(portrait.alpha > 0.5, iterations=2, border_value=1)
    return keep_inside(portrait, person, np.inf, vertices, movable, ears)


def _ended(portrait: Portrait, vertices: np.ndarray) -> np.ndarray:
    """Points (V, 3) of which those below the photo's end lie on it: a straight cut."""
    pixels = portrait.camera.project(vertices)
    ended = np.column_stack([pixels[:, 0], np.minimum(pixels[:, 1], portrait.bottom)])
    below = pixels[:, 1] > portrait.bottom
    return np.where(
        below[:, None], portrait.camera.unproject(ended, portrait.camera.to_camera(vertices)[:, 2]), vertices
    )


def _openness(
    vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray, hair: HairSurface | None, torso: TorsoSurface
) -> np.ndarray:
    """(V,) in [0, 1]: the sky's light at a head's vertices among hair and clothing."""
    surfaces = [(torso.chart.points(torso.radius), torso.chart.faces())]
    if hair is not None:
        own = hair.chart.faces()
        surfaces.insert(0, (hair.chart.points(hair.tucked), own[(hair.hidden.ravel()[own] >= 0.5).all(1)]))
    points, triangles = [vertices], [faces]
    for surface, own in surfaces:
        triangles.append(own + sum(map(len, points)))
        points.append(surface.reshape(-1, 3))
    openness = ambient_occlusion(vertices, normals, np.concatenate(points), np.concatenate(triangles))
    return smooth_vertices(faces, openness, OPENNESS_ROUNDS)


def _lowest(portrait: Portrait, vertices: np.ndarray) -> float:
    """The height in head space, metres, down to which surfaces are made."""
    depth = np.full(2, portrait.camera.to_camera(vertices)[:, 2].mean())
    corners = np.array([[0.0, portrait.bottom], [portrait.size, portrait.bottom]])
    return float(portrait.camera.unproject(corners, depth)[:, 1].min()) - BEYOND_PHOTO


def _seen(camera: Camera, vertices: np.ndarray, faces: np.ndarray) -> Raster:
    screen = np.concatenate([camera.project(vertices), camera.to_camera(vertices)[:, 2:]], 1)
    return rasterize(screen, faces, camera.width, camera.height)


def _teeth_part(teeth: Teeth, camera: Camera, portrait: Portrait, atlas: np.ndarray) -> Part:
    """Teeth, flat in the atlas, where they are painted; they are the skull's and follow no expression."""
    flat = teeth.points[:, :2]
    low, high = flat.min(0), flat.max(0)
    corners = TEETH_BOX.inset(4).place((flat - low) / (high - low).max())
    screen = np.column_stack([corners - [TEETH_BOX.left, TEETH_BOX.top], np.ones(len(corners))])
    raster = rasterize(screen, teeth.faces, TEETH_BOX.width, TEETH_BOX.height)
    if teeth.from_photo:
        shown = portrait.sample(portrait.color, interpolate(raster, teeth.faces, teeth.pixels))
    else:
        shown = interpolate(raster, teeth.faces, teeth.color)
    nearest = ndimage.distance_transform_edt(~raster.covered, return_distances=False, return_indices=True)
    atlas[TEETH_BOX.slices] = np.dstack([shown[tuple(nearest)], np.full(raster.covered.shape, 255.0)])
    to_head = np.linalg.inv(camera.extrinsics)
    points = teeth.points @ to_head[:3, :3].T + to_head[:3, 3]
    return Part(points, teeth.faces, corners[teeth.faces], joint_weights(np.ones(len(points))))
