"""The head model fitted to a face's landmarks: head pose, identity and expression, then a warp for what is left."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.optimize import lsq_linear
from scipy.spatial import cKDTree

from backend.protocol.camera import Camera
from flame import HeadModel
from flame.rotations import skew

FOCAL = 1400.0
"""Pixels at a 512 pixel crop: a portrait lens, 20 degrees wide. One photo does not tell it, and little hangs on it."""
ROUNDS = 4
IDENTITY_RIDGE, EXPRESSION_RIDGE = 6.0, 10.0
"""Pixels at 512 that one standard deviation of identity, or one whole expression, costs."""
MAX_IDENTITY = 3.0
DEPTH_WEIGHT, DEPTH_SCALE = 0.6, 0.7
"""What a pixel of mediapipe's own depth counts against a pixel in the image, and true depth over mediapipe's.

On renders of known heads the scale is 0.8 to 1.1; on turned views of real portraits landmarks are found again best at
0.6 (both as measured by fitting and rendering with a range of scales)."""
SIZE_WEIGHT = 100.0
"""What a pixel of growth of the whole face costs: one photo cannot tell size from distance, and left free a face
shrinks, since that makes every other coefficient cheaper."""
TRUSTED = 0.3
WARP_REACH, WARP_FADE = 0.06, 0.02
"""Metres from the landmarks where the warp ends, and over which it fades before that."""
WARP_DEPTH_SCALE, WARP_DEPTH_SHARE = 0.6, 0.7
"""The warp's own depth scale, as above, and how much of the remaining depth it follows: here, beside the identity,
since the identity basis would buy a flatter face with a child's shoulders."""
ANCHOR_DISTANCE, ANCHOR_STEP = 0.035, 8
WARP_SMOOTHING = 2e-4
UNDISTORTED = np.zeros(4)
"""OpenCV's distortion of a lens that has none."""
HEAD_TO_CAMERA = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class HeadFit:
    """A head in front of a camera.

    Attributes:
        camera: over head space, carrying the head's rigid pose.
        betas: (B,). expression: (E,).
        vertices, neutral_vertices: (V, 3) float32, head space, with the warp, and the first without the expression.
        residual: (478,) float32, pixels, after the warp.
        rms: pixels over the 468 landmarks, of the fit before and after the warp.
    """

    camera: Camera
    betas: np.ndarray
    expression: np.ndarray
    vertices: np.ndarray
    neutral_vertices: np.ndarray
    residual: np.ndarray
    rms: tuple[float, float]


def fit_head(landmarks: np.ndarray, model: HeadModel, size: int) -> HeadFit:
    """Fit the model to landmarks.

    The perspective-n-point problem for a first pose, then Gauss-Newton over pose, identity and expression with ridges
    and bounds (Thies et al. 2016, section 5, on landmarks alone); then a radial-basis warp in the image plane.

    Args:
        landmarks: (478, 3) mediapipe's, in pixels of a crop size x size.
        model: a head model with a landmark embedding.
        size: of the crop, pixels.
    """
    problem = _Problem(landmarks, model, size)
    coefficients = np.zeros(model.num_shape + model.num_expression)
    rotation, translation = np.zeros(3), np.array([0, 0, 1.3])
    rotation, translation = problem.solve_pose(coefficients, rotation, translation)
    for _ in range(ROUNDS):
        coefficients, rotation, translation = problem.improve(coefficients, rotation, translation)
    camera = problem.camera(rotation, translation)

    betas, expression = np.split(coefficients.astype(np.float32), [model.num_shape])
    rest = model.rest_vertices(betas, expression)
    before = _distances(model, rest, camera, landmarks)
    warp = _warp(model, rest, camera, landmarks)
    vertices = (rest + warp).astype(np.float32)
    residual = _distances(model, vertices, camera, landmarks)
    return HeadFit(
        camera,
        betas,
        expression,
        vertices,
        (model.rest_vertices(betas) + warp).astype(np.float32),
        residual.astype(np.float32),
        (_rms(before), _rms(residual)),
    )


def _rms(distances: np.ndarray) -> float:
    """Of the face's landmarks, without the eyes'."""
    return float(np.sqrt((distances[:468] ** 2).mean()))


class _Problem:
    """Landmarks, and the model's landmarks as a linear function of its coefficients."""

    def __init__(self, landmarks: np.ndarray, model: HeadModel, size: int) -> None:
        self.found = landmarks.astype(float)
        self.size = size
        self.per_pixel = 512 / size
        focal = FOCAL / self.per_pixel
        self.K = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
        if model.landmarks is None:
            raise ValueError("the head model has no landmark embedding: see `with_landmarks`")
        self.weight = model.landmarks.weight.astype(float)
        self.base = model.landmark_positions(model.v_template).astype(float)
        bases = np.concatenate([model.shapedirs, model.expressiondirs], 2).reshape(len(model.v_template), -1)
        self.basis = model.landmark_positions(bases).reshape(len(self.base), 3, -1).astype(float)
        self.num_shape = model.num_shape
        # How much each coefficient enlarges the face, in metres of root-mean-square landmark distance.
        outward = self.base[:468] - self.base[:468].mean(0)
        outward /= np.linalg.norm(outward) * np.sqrt(468)
        self.growth = np.einsum("lc,lck->k", outward, self.basis[:468])
        self.low = np.concatenate([np.full(model.num_shape, -MAX_IDENTITY), model.expression_range[:, 0]])
        self.high = np.concatenate([np.full(model.num_shape, MAX_IDENTITY), model.expression_range[:, 1]])

    def points(self, coefficients: np.ndarray) -> np.ndarray:
        """The model's landmarks (478, 3) in head space."""
        return self.base + self.basis @ coefficients

    def camera(self, rotation: np.ndarray, translation: np.ndarray) -> Camera:
        world_to_camera = np.eye(4)
        world_to_camera[:3, :3] = cv2.Rodrigues(rotation)[0] @ HEAD_TO_CAMERA
        world_to_camera[:3, 3] = translation
        return Camera.from_arrays(self.K, world_to_camera, self.size, self.size)

    def solve_pose(
        self, coefficients: np.ndarray, rotation: np.ndarray, translation: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        trusted = self.weight > TRUSTED
        trusted[468:] = False  # the eyes turn by themselves
        points = self.points(coefficients)[trusted] @ HEAD_TO_CAMERA.T
        _, rotation, translation = cv2.solvePnP(
            points, self.found[trusted, :2], self.K, UNDISTORTED, rotation.copy(), translation.copy(), True
        )
        return rotation.ravel(), translation.ravel()

    def improve(
        self, coefficients: np.ndarray, rotation: np.ndarray, translation: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One Gauss-Newton round over coefficients, rotation and translation together.

        Together, because in turn a long chin and a lowered head take each other's place.
        """
        matrix = self.camera(rotation, translation).extrinsics
        turned = self.points(coefficients) @ matrix[:3, :3].T
        points = turned + translation
        # Columns: a small turn of the head about its origin, a shift, the coefficients.
        directions = np.concatenate(
            [
                -skew(turned),
                np.tile(np.eye(3), (len(points), 1, 1)),
                np.einsum("ab,lbk->lak", matrix[:3, :3], self.basis),
            ],
            2,
        )
        focal, z = self.K[0, 0], points[:, 2, None]
        image_jacobian = focal * (directions[:, :2] - (points[:, :2] / z)[..., None] * directions[:, 2:]) / z[..., None]
        image_error = self.found[:, :2] - (focal * points[:, :2] / z + self.size / 2)

        # mediapipe's depth has an offset of its own; the irises have no depth.
        unit = focal / z[:468].mean()
        depth = points[:468, 2] * unit
        depth_error = DEPTH_SCALE * self.found[:468, 2] - depth
        depth_error -= depth_error.mean()
        depth_jacobian = directions[:468, 2] * unit
        depth_jacobian -= depth_jacobian.mean(0)

        weight = np.sqrt(self.weight) * self.per_pixel
        current = np.r_[np.zeros(6), coefficients]
        ridge = np.r_[np.zeros(6), np.full(self.num_shape, IDENTITY_RIDGE)]
        ridge = np.r_[ridge, np.full(len(current) - len(ridge), EXPRESSION_RIDGE)]
        A = np.concatenate(
            [
                (image_jacobian * weight[:, None, None]).reshape(-1, len(current)),
                DEPTH_WEIGHT * depth_jacobian * weight[:468, None],
                np.diag(ridge),
                np.r_[np.zeros(6), SIZE_WEIGHT * self.growth * FOCAL / z[:468].mean()][None],
            ]
        )
        b = np.concatenate(
            [
                (weight[:, None] * (image_error + image_jacobian @ current)).ravel(),
                DEPTH_WEIGHT * weight[:468] * (depth_error + depth_jacobian @ current),
                np.zeros(len(current) + 1),
            ]
        )
        free = np.full(6, np.inf)
        # The normal equations as a square system: the same minimum, a tenth of the work.
        factor = np.linalg.cholesky(A.T @ A)
        solution = lsq_linear(
            factor.T, np.linalg.solve(factor, A.T @ b), (np.r_[-free, self.low], np.r_[free, self.high]), method="bvls"
        ).x
        step = cv2.Rodrigues(solution[:3])[0] @ cv2.Rodrigues(rotation)[0]
        return solution[6:], cv2.Rodrigues(step)[0].ravel(), translation + solution[3:6]


def _distances(model: HeadModel, vertices: np.ndarray, camera: Camera, landmarks: np.ndarray) -> np.ndarray:
    return np.linalg.norm(camera.project(model.landmark_positions(vertices)) - landmarks[:, :2], axis=1)


def _warp(model: HeadModel, vertices: np.ndarray, camera: Camera, landmarks: np.ndarray) -> np.ndarray:
    """Offsets (V, 3) in head space that take the model's landmarks onto the found ones; in depth part of the way."""
    at = model.landmark_positions(vertices)[:468]
    depth = camera.to_camera(at)[:, 2:]
    missing = np.zeros_like(at)
    missing[:, :2] = (landmarks[:468, :2] - camera.project(at)) * depth / camera.intrinsics[0, 0]
    # Along its ray a point keeps its place in the photo.
    found_depth = WARP_DEPTH_SCALE * landmarks[:468, 2:] * depth.mean() / camera.intrinsics[0, 0]
    deeper = (found_depth - found_depth.mean()) - (depth - depth.mean())
    missing += WARP_DEPTH_SHARE * deeper * camera.to_camera(at) / depth
    distance, _ = cKDTree(at).query(vertices)
    still = vertices[distance > ANCHOR_DISTANCE][::ANCHOR_STEP]
    points = np.concatenate([at, still])
    values = np.concatenate([missing @ camera.extrinsics[:3, :3], np.zeros_like(still)])
    points, first = np.unique(points.round(7), axis=0, return_index=True)
    near = distance < WARP_REACH
    warp = np.zeros_like(vertices, dtype=float)
    spline = RBFInterpolator(points, values[first], kernel="linear", smoothing=WARP_SMOOTHING)
    warp[near] = spline(vertices[near]) * np.clip((WARP_REACH - distance[near]) / WARP_FADE, 0, 1)[:, None]
    for name in ("eye_left", "eye_right"):
        # An eyeball stays a ball.
        warp[model.regions[name]] = warp[model.regions[name]].mean(0)
    return warp
