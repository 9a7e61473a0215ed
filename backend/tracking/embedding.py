"""Where mediapipe's landmarks lie on a head model: found by showing the model to mediapipe.

The plainly shaded model is rendered for several identities and from several sides, each found landmark is cast onto
the mesh, and the median of the hits is kept. Computed once per head model file: ours carries it, for others it is kept
in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree

from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import npz_bytes, write_file
from backend.tracking.landmarks import (
    FACE_OVAL,
    LEFT_IRIS,
    LOWER_INNER_LIP,
    NUM_LANDMARKS,
    RIGHT_IRIS,
    UPPER_INNER_LIP,
    find_landmarks,
)
from backend.tracking.plain_head import look_at, painted, shaded_view
from flame import HeadModel, LandmarkEmbedding
from flame.geometry import vertex_normals

SIZE, FOCAL, DISTANCE = 512, 1400.0, 1.45
VIEWS = np.radians([(0, 0), (-12, 0), (12, 0), (0, 8), (0, -8), (-12, 5), (12, 5), (-20, 0), (20, 0)])
NUM_IDENTITIES, IDENTITY_SD, SEED = 5, 0.7, 7
SPREAD = 0.003
"""Metres; a landmark whose hits spread this much counts half."""
OVAL_MARGIN = 0.002
"""Metres beyond the face's oval that still are the face."""
JAW_TEST_ANGLE = np.radians(15)
VERSION = 1


def with_landmarks(model: HeadModel) -> HeadModel:
    """The model with its landmark embedding and its "face" region, from the file, the cache, or computed.

    Raises:
        ValueError: mediapipe finds no face in the rendered model.
    """
    if model.landmarks is None:
        model = replace(model, landmarks=_cached(model))
    return model if "face" in model.regions else replace(model, regions={**model.regions, "face": face_region(model)})


def compute_embedding(model: HeadModel) -> LandmarkEmbedding:
    """Find the 478 landmarks on a head model (a few seconds).

    Raises:
        ValueError: mediapipe finds no face in the rendered model.
    """
    hits = _cast(model)
    seen = np.isfinite(hits[..., 0]).mean(0)
    with np.errstate(all="ignore"):
        median = np.nanmedian(hits, 0)
        spread = np.nanmedian(np.linalg.norm(hits - median, axis=2), 0)
    found = (seen > 0.2) & np.isfinite(spread)
    weight = np.where(found, 1 / (1 + (np.where(found, spread, 0) / SPREAD) ** 2), 0)
    median = np.where(found[:, None], median, 0)

    face_index, barycentric = np.zeros(NUM_LANDMARKS, np.int32), np.zeros((NUM_LANDMARKS, 3), np.float32)
    for landmarks, faces in _surfaces(model, median):
        face_index[landmarks], barycentric[landmarks] = _nearest_on_faces(model, faces, median[landmarks])
    return LandmarkEmbedding(face_index, barycentric, weight.astype(np.float32))


def face_region(model: HeadModel) -> np.ndarray:
    """Vertices inside the face oval, seen from the front, that lie on the outside, (n,) int32."""
    oval = model.landmark_positions(model.v_template)[list(FACE_OVAL)]
    normals = vertex_normals(model.v_template, model.faces)
    outside = (normals[:, 2] > -0.2) & (model.v_template[:, 2] > oval[:, 2].min() - 0.02)
    contour = oval[:, None, :2].astype(np.float32)
    inside = np.array([cv2.pointPolygonTest(contour, (float(x), float(y)), True) for x, y, _ in model.v_template])
    inside = inside > -OVAL_MARGIN
    inner = [i for name in ("eye_left", "eye_right", "mouth_interior", "tongue", "eye_socket")
             if name in model.regions for i in model.regions[name]]  # fmt: skip
    return np.setdiff1d(np.flatnonzero(inside & outside), inner).astype(np.int32)


def _cast(model: HeadModel) -> np.ndarray:
    """Hits (n, 478, 3) of the landmarks in n renders, as points of the template; nan where one missed the mesh."""
    rng = np.random.default_rng(SEED)
    colours = painted(model)
    hits = []
    for identity in range(NUM_IDENTITIES):
        betas = rng.standard_normal(min(30, model.num_shape)) * (IDENTITY_SD if identity else 0.0)
        vertices = model.rest_vertices(betas)
        eyes = vertices[np.concatenate([model.regions["eye_left"], model.regions["eye_right"]])].mean(0)
        centre = eyes - np.array([0, 0.03, 0.02])
        for yaw, pitch in VIEWS:
            image, raster = shaded_view(
                vertices, model.faces, colours, look_at(centre, yaw, pitch, DISTANCE, FOCAL, SIZE)
            )
            landmarks = find_landmarks(image)
            if landmarks is None:
                continue
            x, y = np.clip(np.floor(landmarks[:, :2]).astype(int), 0, SIZE - 1).T
            triangle = raster.triangle[y, x]
            points = np.einsum("lk,lkc->lc", raster.barycentric[y, x], model.v_template[model.faces[triangle]])
            hits.append(np.where(triangle[:, None] >= 0, points, np.nan))
    if len(hits) < len(VIEWS):
        raise ValueError(
            f"mediapipe found a face in {len(hits)} of {NUM_IDENTITIES * len(VIEWS)} renders of {model.name}: "
            "is the model y up, facing +z, in metres?"
        )
    return np.stack(hits)


def _surfaces(model: HeadModel, median: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Groups of landmarks with the faces that each may lie on: skin, either lip, either eyeball."""
    normals = vertex_normals(model.v_template, model.faces)
    eyes = {name: np.isin(model.faces, model.regions[name]).all(1) for name in ("eye_left", "eye_right")}
    outer = (normals[model.faces].mean(1)[:, 2] > -0.2) & ~eyes["eye_left"] & ~eyes["eye_right"]
    for name in ("mouth_interior", "tongue", "eye_socket"):
        if name in model.regions:
            outer &= ~np.isin(model.faces, model.regions[name]).all(1)

    # Where the closed lips touch, the nearest surface is as often the wrong lip: the jaw tells them apart.
    pose = np.zeros((5, 3))
    pose[2, 0] = JAW_TEST_ANGLE
    jaw = np.linalg.norm(model.forward(pose=pose).vertices - model.v_template, axis=1)
    middle = median[[*UPPER_INNER_LIP, *LOWER_INNER_LIP]].mean(0)
    near = np.linalg.norm(model.v_template - middle, axis=1) < 0.04
    half = 0.5 * jaw[near & (normals[:, 2] > 0.2)].max()
    lips = outer & near[model.faces].all(1) & (normals[model.faces].mean(1)[:, 2] > 0)
    upper, lower = lips & (jaw[model.faces] < 0.6 * half).all(1), lips & (jaw[model.faces] > half).all(1)

    lip_landmarks = np.array([*UPPER_INNER_LIP, *LOWER_INNER_LIP])
    iris_landmarks = np.array([*RIGHT_IRIS, *LEFT_IRIS])
    skin = np.setdiff1d(np.arange(NUM_LANDMARKS), np.concatenate([lip_landmarks, iris_landmarks]))
    return [
        (skin, np.flatnonzero(outer)),
        (np.array(UPPER_INNER_LIP), np.flatnonzero(upper)),
        (np.array(LOWER_INNER_LIP), np.flatnonzero(lower)),
        (np.array(RIGHT_IRIS), np.flatnonzero(eyes["eye_right"])),
        (np.array(LEFT_IRIS), np.flatnonzero(eyes["eye_left"])),
    ]


def _nearest_on_faces(model: HeadModel, faces: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The face index (n,) and barycentric coordinates (n, 3) nearest to points (n, 3), among the given faces."""
    corners = model.v_template[model.faces[faces]].astype(float)
    _, near = cKDTree(corners.mean(1)).query(points, k=min(24, len(faces)))
    a, b, c = (corners[near][:, :, k] for k in range(3))
    u, v, w = b - a, c - a, points[:, None] - a
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    area = np.maximum(uu * vv - uv * uv, 1e-18)
    s, t = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    # Outside the triangle the clipped coordinates are near the nearest point, and the neighbour wins anyway.
    weights = np.clip(np.stack([1 - s - t, s, t], -1), 0, None)
    weights /= weights.sum(-1, keepdims=True)
    distance = np.linalg.norm((weights[..., None] * corners[near]).sum(2) - points[:, None], axis=-1)
    best = np.argmin(distance, 1)
    rows = np.arange(len(points))
    return faces[near[rows, best]].astype(np.int32), weights[rows, best].astype(np.float32)


def _cached(model: HeadModel) -> LandmarkEmbedding:
    """The embedding from the user's cache folder, computed and kept there if it is not."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = root / "turboportrait3d" / f"landmarks-{VERSION}-{model.checksum}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            return LandmarkEmbedding(file["face_index"], file["barycentric"], file["weight"])
    except (OSError, KeyError, ValueError):
        embedding = compute_embedding(model)
    # A read-only home only costs the seconds again.
    with contextlib.suppress(TurboPortraitError):
        write_file(path, npz_bytes(**vars(embedding)))
    return embedding
