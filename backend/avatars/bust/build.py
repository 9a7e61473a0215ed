"""The bust's mesh: head model, hair, torso and teeth as one rigged mesh over one atlas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from backend.avatars.bust.atlas import (
    HAIR_BOX,
    HEAD_BOX,
    SIZE,
    SMALL_BOX,
    TORSO_BOX,
    Layer,
    paint_hair,
    paint_head,
    paint_torso,
)
from backend.avatars.bust.chart import RadialChart
from backend.avatars.bust.hair import build_hair, head_chart, skull_radius
from backend.avatars.bust.islands import Box, unwrap_head
from backend.avatars.bust.mouth import Teeth, build_teeth, lip_seal, mouth_share
from backend.avatars.bust.outline import fit_height, fit_skull, keep_inside, meet_outline, scale_radially
from backend.avatars.bust.portrait import Portrait
from backend.avatars.bust.shading import face_alphas
from backend.avatars.bust.torso import build_torso, tuck_neck
from backend.protocol.rigged_mesh import RiggedMesh
from backend.rasterizer import interpolate, rasterize
from backend.tracking import TrackedPortrait
from backend.tracking.landmarks import FACE_OVAL
from flame import HeadModel
from flame.geometry import vertex_normals

CHIN = 152
STILL = 1e-5
"""Metres; a vertex that no expression moves by more is not stored."""
UNDER_TORSO = 0.02
"""Metres that the head's surface goes on below the neck's lower end."""
FALLS_OVER = 0.08
"""Metres below the chin over which hair stops following the head and lies on the shoulders."""
TEETH_BOX = Box(SMALL_BOX.left, SMALL_BOX.top + 640, 256, 256)


@dataclass
class Part:
    """A surface in head space with the portrait's expression.

    Attributes:
        vertices: (n, 3) metres. faces: (F, 3). corners: (F, 3, 2) atlas pixels.
        skin_weights: (n, 5). offsets: (E, n, 3) expression offsets, metres, or None for none.
    """

    vertices: np.ndarray
    faces: np.ndarray
    corners: np.ndarray
    skin_weights: np.ndarray
    offsets: np.ndarray | None = None


def build_bust(tracked: TrackedPortrait, portrait: Portrait, model: HeadModel) -> tuple[RiggedMesh, np.ndarray]:
    """The mesh, and which of its vertices (N,) bool are the torso's: they follow no head.

    Args:
        portrait: the same portrait as `tracked`, with its regions.
    """
    camera, size = tracked.camera, tracked.camera.width
    vertices = tracked.vertices.astype(float)
    lowest = _lowest(tracked, vertices)
    neck_faces = _faces_outside(model, "torso")
    head_faces = _faces_above(model, vertices)
    vertices = _fitted(portrait, model, vertices, neck_faces, lowest)
    hair = build_hair(portrait, model, vertices, lowest)
    torso = build_torso(portrait, model, vertices, _seen(camera, vertices, neck_faces).covered, lowest)
    vertices = tuck_neck(vertices, torso)
    raster = _seen(camera, vertices, head_faces)
    trunk = _seen(camera, torso.chart.points(torso.radius).reshape(-1, 3), torso.chart.faces())

    atlas = np.zeros((SIZE, SIZE, 4), np.float32)
    confidence = np.zeros((SIZE, SIZE), np.float32)

    def put(box: Box, layer: Layer) -> None:
        atlas[box.slices], confidence[box.slices] = layer.rgba, layer.confidence

    parts = []
    hair_layer = None
    if hair is not None:
        hair_layer = paint_hair(portrait, hair)
        put(HAIR_BOX, hair_layer)
    put(TORSO_BOX, paint_torso(portrait, torso, raster.depth < trunk.depth))
    chart = hair.chart if hair is not None else head_chart(model, vertices, lowest)
    chart = RadialChart(chart.centre, chart.cap_rows, int((chart.centre[1] - vertices[model.regions["neck"], 1].min() + UNDER_TORSO) / chart.step) + 4 if "neck" in model.regions else chart.cylinder_rows, chart.columns, chart.step)
    corners = unwrap_head(model, vertices, head_faces, chart, HEAD_BOX, SMALL_BOX)
    skin = np.ones(len(vertices), bool)
    for name in ("eye_left", "eye_right", "eye_socket", "mouth_interior", "tongue"):
        skin[model.regions.get(name, np.zeros(0, int))] = False
    normals = vertex_normals(vertices, model.faces)
    head_layer = paint_head(
        portrait, vertices, head_faces, corners, normals, skin, raster.depth, None if hair is None else (hair, hair_layer)
    )
    atlas[: HEAD_BOX.height], confidence[: HEAD_BOX.height] = head_layer.rgba, head_layer.confidence

    basis = np.moveaxis(model.expressiondirs, 2, 0)
    parts.append(Part(vertices, head_faces, corners, model.lbs_weights, basis))
    if hair is not None:
        points = hair.chart.points(hair.radius).reshape(-1, 3)
        chin = model.landmark_positions(vertices)[CHIN, 1]
        head = np.clip(1 - (chin - points[:, 1]) / FALLS_OVER, 0, 1)
        parts.append(_chart_part(hair.chart, points, HAIR_BOX, head, atlas))
    points = torso.chart.points(torso.radius).reshape(-1, 3)
    parts.append(_chart_part(torso.chart, points, TORSO_BOX, np.zeros(len(points)), atlas))
    brightness = float(portrait.sample(portrait.color, tracked.landmarks[list(FACE_OVAL), :2]).mean())
    teeth = build_teeth(tracked, model, camera.to_camera(vertices), brightness)
    parts.append(_teeth_part(teeth, camera, portrait, atlas))
    return _joined(tracked, model, parts, atlas, confidence, len(vertices))


def _fitted(portrait: Portrait, model: HeadModel, vertices: np.ndarray, faces: np.ndarray, lowest: float) -> np.ndarray:
    """The head (V, 3) drawn to the person's outline."""
    chart = head_chart(model, vertices, lowest)
    vertices = fit_height(portrait, vertices, chart.centre[1])
    skull = skull_radius(chart, model, vertices)
    eyes = np.zeros(len(vertices), bool)
    eyes[model.regions["eye_left"]] = eyes[model.regions["eye_right"]] = True
    grown = scale_radially(chart, fit_skull(chart, portrait, skull), vertices)
    vertices = np.where(eyes[:, None], vertices, grown)
    head = np.zeros(len(vertices), bool)
    head[np.unique(faces)] = True
    normals = vertex_normals(vertices, model.faces)
    ears = np.zeros(len(vertices), bool)
    ears[model.regions["ear_left"]] = ears[model.regions["ear_right"]] = True
    vertices = meet_outline(portrait, vertices, normals, head & ~eyes, ears, _seen(portrait.camera, vertices, faces))
    return keep_inside(portrait, vertices, head & ~eyes)


def _lowest(tracked: TrackedPortrait, vertices: np.ndarray) -> float:
    """The height in head space, metres, at which the photo ends below."""
    rows = np.flatnonzero(tracked.valid.any(1))
    depth = tracked.camera.to_camera(vertices)[:, 2].mean()
    corners = np.array([[0.0, rows.max() + 1.0], [tracked.camera.width, rows.max() + 1.0]])
    return float(tracked.camera.unproject(corners, np.array([depth, depth]))[:, 1].min()) - 0.04


def _faces_above(model: HeadModel, vertices: np.ndarray) -> np.ndarray:
    """(F, 3) the faces of head, neck and the torso's upper end, which lies under the torso's own surface."""
    if "torso" not in model.regions:
        return model.faces
    member = np.zeros(len(vertices), bool)
    member[model.regions["torso"]] = vertices[model.regions["torso"], 1] < vertices[model.regions["neck"], 1].min() - UNDER_TORSO
    return model.faces[~member[model.faces].any(1)]


def _faces_outside(model: HeadModel, name: str) -> np.ndarray:
    """(F, 3) the faces that do not touch a region; without the region, those that the root joint does not move alone."""
    member = model.lbs_weights[:, 0] >= 0.9
    if name in model.regions:
        member = np.zeros(len(model.v_template), bool)
        member[model.regions[name]] = True
    return model.faces[~member[model.faces].any(1)]


def _seen(camera, vertices, faces):
    screen = np.concatenate([camera.project(vertices), camera.to_camera(vertices)[:, 2:]], 1)
    return rasterize(screen, faces, camera.width, camera.height)


def _chart_part(chart: RadialChart, points: np.ndarray, box: Box, head: np.ndarray, atlas: np.ndarray) -> Part:
    faces = chart.faces()
    rows, columns = chart.shape
    y, x = np.divmod(faces, columns)
    corners = np.stack([x / (columns - 1) * (box.width - 1) + box.left + 0.5, y / (rows - 1) * (box.height - 1) + box.top + 0.5], -1)
    # Faces that show nothing are not drawn.
    flat = np.arange(corners.shape[0] * 3).reshape(-1, 3)
    _, most = face_alphas(corners.reshape(-1, 2) - 0.5, flat, atlas[..., 3])
    shown = most > 4
    weights = np.zeros((len(points), 5))
    weights[:, 1], weights[:, 0] = head, 1 - head
    return Part(points, faces[shown], corners[shown], weights)


def _teeth_part(teeth: Teeth, camera, portrait: Portrait, atlas: np.ndarray) -> Part:
    """Teeth, flat in the atlas; they are the skull's and follow no expression."""
    flat = teeth.points[:, :2]
    low, high = flat.min(0), flat.max(0)
    at = TEETH_BOX.inset(4).place((flat - low) / (high - low).max())
    color = portrait.sample(portrait.color, teeth.pixels) if teeth.from_photo else teeth.color
    screen = np.column_stack([at - [TEETH_BOX.left, TEETH_BOX.top], np.ones(len(at))])
    raster = rasterize(screen, teeth.faces, TEETH_BOX.width, TEETH_BOX.height)
    values = interpolate(raster, teeth.faces, np.column_stack([color, teeth.pixels]))
    shown = portrait.sample(portrait.color, values[..., 3:]) if teeth.from_photo else values[..., :3]
    nearest = ndimage.distance_transform_edt(~raster.covered, return_distances=False, return_indices=True)
    atlas[TEETH_BOX.slices][..., :3] = shown[tuple(nearest)]
    atlas[TEETH_BOX.slices][..., 3] = 255
    to_head = np.linalg.inv(camera.extrinsics)
    weights = np.zeros((len(flat), 5))
    weights[:, 1] = 1
    return Part(teeth.points @ to_head[:3, :3].T + to_head[:3, 3], teeth.faces, at[teeth.faces], weights)


def _joined(tracked, model, parts: list[Part], atlas, confidence, head_count) -> tuple[RiggedMesh, np.ndarray]:
    starts = np.cumsum([0, *(len(p.vertices) for p in parts[:-1])])
    vertices = np.concatenate([p.vertices for p in parts])
    faces = np.concatenate([p.faces + s for p, s in zip(parts, starts, strict=True)])
    corners = np.concatenate([p.corners for p in parts])
    weights = np.concatenate([p.skin_weights for p in parts])
    offsets = np.concatenate(
        [np.zeros((model.num_expression, len(p.vertices), 3), np.float32) if p.offsets is None else p.offsets for p in parts], 1
    )
    expression = np.zeros(model.num_expression)
    given = tracked.parameters.expression
    expression[: len(given)] = given
    neutral = vertices - np.einsum("e,enc->nc", expression, offsets)
    drawn = np.zeros(head_count, bool)
    drawn[np.unique(parts[0].faces)] = True
    seal = np.zeros_like(neutral)
    seal[:head_count] = lip_seal(model, neutral[:head_count], drawn, np.array([0.0, 1, 0]))
    offsets = offsets - mouth_share(model, expression)[:, None, None] * seal
    neutral = neutral + seal

    used = np.unique(faces)
    index = np.full(len(vertices), -1)
    index[used] = np.arange(len(used))
    moving = np.flatnonzero(np.abs(offsets).max((0, 2)) > STILL)
    moving = moving[index[moving] >= 0]
    uv, uv_faces = np.unique(corners.reshape(-1, 2).round(3), axis=0, return_inverse=True)
    uv = np.stack([uv[:, 0], SIZE - uv[:, 1]], 1) / SIZE
    cloth = np.zeros(len(vertices), bool)
    cloth[starts[-2] : starts[-1]] = True
    mesh = RiggedMesh(
        vertices=np.ascontiguousarray(neutral[used], np.float32),
        faces=np.ascontiguousarray(index[faces], np.int32),
        expression_vertices=index[moving].astype(np.int32),
        expression_offsets=np.ascontiguousarray(offsets[:, moving], np.float32),
        expression_names=model.expression_names,
        joints=model.rest_joints(tracked.neutral_vertices).astype(np.float32),
        parents=model.parents.astype(np.int32),
        skin_weights=np.ascontiguousarray(weights[used], np.float32),
        uv=uv.astype(np.float32),
        uv_faces=np.ascontiguousarray(uv_faces.reshape(-1, 3), np.int32),
        texture=np.clip(np.rint(atlas), 0, 255).astype(np.uint8),
        confidence=np.clip(np.rint(confidence * 255), 0, 255).astype(np.uint8),
    )
    return mesh, cloth[used]
