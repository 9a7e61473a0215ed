"""The person of a clip: one identity, and the head model fitted to it picture by picture, each from the one before.

As `backend.tracking.fit`, with the identity known: Gauss-Newton over pose and expression with ridges and bounds (Thies
et al. 2016, section 5, on landmarks alone), then the gaze from the irises.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numba
import numpy as np

from backend.tracking.clips.response import Response
from backend.tracking.fit import FOCAL, HEAD_TO_CAMERA, UNDISTORTED, fit_head
from backend.tracking.landmarks import LEFT_IRIS, RIGHT_IRIS
from backend.tracking.photo import FACE_HEIGHTS, crop_around, to_crop
from flame import HeadModel
from flame.rotations import axis_angle_to_matrix, matrix_to_axis_angle, skew

FITTED_AT = 512
"""Pixels of the crop in whose units everything below counts."""
ROUNDS, MOST_ROUNDS, SETTLED = 2, 6, np.radians(0.5)
"""From the fit before it takes so many rounds, and more until the head turns no further by this."""
EXPRESSION_RIDGE = 2.0
"""What a whole action costs, from what the face does at rest, in standard deviations of a landmark."""
GAZE_RIDGE, GAZE_ROUNDS, MAX_GAZE = 2.0, 3, np.radians(40)
"""Pixels that a radian of gaze costs, and how far eyes turn."""
LID_GAIN, LEAST_OPENING = 1.5, 0.08
"""How much faster an eye shuts than its contour, as the iris model draws it; and the least that one is open at rest."""
CLOSED = 0.55
"""A blink by which the iris is hidden."""
GOOD, LOST = 3.0, 16.0
"""Pixels that the fit misses the landmarks by (root mean square): a sure fit, and none at all."""
SWEEPS = 60
PLACING_ROUNDS = 4


@dataclass(frozen=True, eq=False)
class FrameFit:
    """A head in one picture.

    Attributes:
        rotation: (3, 3), head space to the camera's axes (x right, y down, z forward).
        translation: (3,) metres, the same way.
        expression: (E,) in the head model's order; eyeLook actions are 0.
        gaze: (2,) radians: the turn of both eyes about head space's x and y.
        gaze_seen: in [0, 1], how well the irises were seen.
        rms: pixels of a face `FITTED_AT`, by which the landmarks are missed.
    """

    rotation: np.ndarray
    translation: np.ndarray
    expression: np.ndarray
    gaze: np.ndarray
    gaze_seen: float
    rms: float

    @property
    def head(self) -> np.ndarray:
        """(3, 3) how the head is turned from facing the camera, in head space's axes."""
        return HEAD_TO_CAMERA.T @ self.rotation

    @property
    def confidence(self) -> float:
        """In [0, 1]."""
        return float(np.clip((LOST - self.rms) / (LOST - GOOD), 0, 1))


class Actor:
    """A person before a camera whose picture has a fixed size.

    Attributes:
        neck: (3,) metres, the neck joint in head space.
        rest: (E,) the expression of the picture that the identity is from.
    """

    def __init__(
        self,
        picture: np.ndarray,
        landmarks: np.ndarray,
        model: HeadModel,
        openings: np.ndarray | None = None,
        response: Response | None = None,
    ) -> None:
        """Learn the identity as a portrait's.

        Args:
            picture: (H, W, 3) uint8.
            landmarks: (478, 3) in its pixels.
            model: with a landmark embedding.
            openings: (2,) how far open its right and left eye are, see `find_eyes`.
            response: what the landmarks do when the face acts; by default what was learnt.
        """
        crop = crop_around(picture, landmarks[:468], FITTED_AT)
        side = np.ptp(landmarks[:468, 1]) * FACE_HEIGHTS
        fit = fit_head(to_crop(crop, landmarks), model, FITTED_AT)
        height, width = picture.shape[:2]
        # One lens for the whole clip: the portrait's for the face as it is here, about the picture's middle.
        self._focal = FOCAL * side / FITTED_AT
        self._centre = np.array([width, height]) / 2
        self._unit = FITTED_AT / side
        names = model.expression_names
        self._fitted = Response.fitted(model)
        self._blinks = [names.index(f"eyeBlink{side}") for side in ("Left", "Right") if f"eyeBlink{side}" in names]
        self.rest = np.where(self._fitted, fit.expression, 0).astype(float)
        joints = model.rest_joints(fit.neutral_vertices).astype(float)
        self.neck, self._eyes = joints[1], joints[3:5]
        base = model.landmark_positions(fit.vertices).astype(float)
        self._base, self._irises = base[:468], np.stack([base[LEFT_IRIS].mean(0), base[RIGHT_IRIS].mean(0)])
        self._openings = None if openings is None else np.maximum(openings, LEAST_OPENING)
        self._start = self.rest[self._fitted]
        response = response or Response.of(model)
        self._basis, self._weight = response.basis, 1 / response.floor
        self._modes = response.modes * np.repeat(self._weight, 2)[:, None]
        self._inner = np.linalg.inv(np.eye(response.modes.shape[1]) + self._modes.T @ self._modes)
        self._low, self._high = model.expression_range[self._fitted].T.astype(float)

    def fit(
        self, landmarks: np.ndarray, before: FrameFit | None = None, openings: np.ndarray | None = None
    ) -> FrameFit:
        """The head in a picture.

        Args:
            landmarks: (478, 3) in pixels of the whole picture.
            before: the fit to start from, of the picture before; None after a gap or a cut.
            openings: (2,) how far open the right and the left eye are; without them landmarks alone tell blinks.
        """
        found = landmarks.astype(float)
        expression = self._start if before is None else before.expression[self._fitted]
        if before is None:
            rotation, translation = self._pose(found, expression)
        else:
            rotation, translation = before.rotation, before.translation
        for number in range(MOST_ROUNDS):
            last = rotation
            rotation, translation, expression = self._improve(found, rotation, translation, expression)
            if before is not None and number + 1 >= ROUNDS and _turn(last, rotation) < SETTLED:
                break
        points = (self._base + self._basis @ (expression - self._start)) @ rotation.T + translation
        missed = (found[:468, :2] - self._project(points)) * self._unit
        whole = np.zeros(len(self._fitted))
        whole[self._fitted] = expression
        if openings is not None and self._openings is not None:
            # The mesh hardly sees lids, the iris model draws them.
            shut = np.clip(LID_GAIN * (1 - openings[::-1] / self._openings[::-1]), 0, 1)
            whole[self._blinks] = self.rest[self._blinks] + (1 - self.rest[self._blinks]) * shut
        gaze, seen = self._gaze(found, rotation, translation, whole)
        rms = float(np.sqrt((missed**2).sum(1).mean()))
        return FrameFit(rotation, translation, whole, gaze, seen, rms)

    def motion(self, fit: FrameFit, about: np.ndarray) -> np.ndarray:
        """(6,) how the head is turned from `about` (3, 3), axis-angle, and where the neck joint is, metres.

        About the neutral head axis-angle is smooth as long as no head turns half around.
        """
        turn = matrix_to_axis_angle(about.T @ fit.head)
        return np.r_[turn, HEAD_TO_CAMERA.T @ (fit.rotation @ self.neck + fit.translation)]

    def place(
        self, landmarks: np.ndarray, rotation: np.ndarray, translation: np.ndarray, moved: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Move a head whose turn and expression are known to where its landmarks are best met.

        Args:
            landmarks: (478, 3) in pixels of the whole picture.
            rotation, translation: see `FrameFit`; where to start.
            moved: (468, 3) metres, the landmarks' way from rest, in head space.

        Returns:
            (468, 2, 3) pixels per metre in head space, and (468, 2) pixels that the landmarks are from there; of a face
            `FITTED_AT`.
        """
        turned = (self._base + moved) @ rotation.T
        for _ in range(PLACING_ROUNDS):
            points = turned + translation
            scale = self._focal * self._unit / points[:, 2]
            view = np.concatenate(
                [np.tile(np.eye(2), (len(points), 1, 1)), -points[:, :2, None] / points[:, 2, None, None]], 2
            )
            view *= scale[:, None, None]
            missed = (landmarks[:468, :2] - self._project(points)) * self._unit
            A, b = (self._weight[:, None, None] * view).reshape(-1, 3), (self._weight[:, None] * missed).ravel()
            translation = translation + np.linalg.solve(A.T @ A, A.T @ b)
        return view @ rotation, (landmarks[:468, :2] - self._project(turned + translation)) * self._unit

    def _project(self, points: np.ndarray) -> np.ndarray:
        return self._focal * points[:, :2] / points[:, 2:] + self._centre

    def _pose(self, found: np.ndarray, expression: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A first rotation and translation (perspective-n-point)."""
        points = (self._base + self._basis @ (expression - self._start)) @ HEAD_TO_CAMERA.T
        K = np.array([[self._focal, 0, self._centre[0]], [0, self._focal, self._centre[1]], [0, 0, 1]])
        start = np.zeros((3, 1)), np.array([[0], [0], [1.3]])
        _, rotation, translation = cv2.solvePnP(points, found[:468, :2].copy(), K, UNDISTORTED, *start, True)
        return cv2.Rodrigues(rotation)[0] @ HEAD_TO_CAMERA, translation.ravel()

    def _improve(
        self, found: np.ndarray, rotation: np.ndarray, translation: np.ndarray, expression: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One Gauss-Newton round over rotation, translation and expression together."""
        turned = (self._base + self._basis @ (expression - self._start)) @ rotation.T
        points = turned + translation
        # Columns: a small turn of the head about its origin, a shift, the actions.
        directions = np.concatenate(
            [-skew(turned), np.broadcast_to(np.eye(3), (len(points), 3, 3)), rotation @ self._basis], 2
        )
        z = points[:, 2, None]
        ray = points[:, :2] / z
        image = (directions[:, :2] - ray[..., None] * directions[:, 2:]) * (self._focal * self._unit / z)[..., None]
        error = (found[:468, :2] - self._project(points)) * self._unit
        A = (self._weight[:, None, None] * image).reshape(-1, image.shape[2])
        b = (self._weight[:, None] * error).ravel()
        current = np.r_[np.zeros(6), expression]
        # What the network errs by together is taken out of both (Woodbury's identity).
        shared = self._modes.T @ A
        gram = A.T @ A - shared.T @ self._inner @ shared
        target = A.T @ b - shared.T @ (self._inner @ (self._modes.T @ b)) + gram @ current
        free = 6
        index = np.arange(len(current))
        gram[index, index] += np.where(index < free, 1e-6, EXPRESSION_RIDGE**2)
        target[free:] += EXPRESSION_RIDGE**2 * self._start
        low, high = (np.r_[np.full(free, bound), ends] for bound, ends in ((-np.inf, self._low), (np.inf, self._high)))
        solution = bounded_least_squares(gram, target, current, low, high, free)
        turn = axis_angle_to_matrix(solution[:3])
        return turn @ rotation, translation + solution[3:6], solution[6:]

    def _gaze(
        self, found: np.ndarray, rotation: np.ndarray, translation: np.ndarray, expression: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """The turn (2,) of both eyes about x and y, radians, by the irises' middles, and how well they are seen."""
        irises = np.stack([found[LEFT_IRIS, :2].mean(0), found[RIGHT_IRIS, :2].mean(0)])
        arms = self._irises - self._eyes
        # An eye that is turned out of sight, or whose lids are closed, says little.
        facing = np.clip(-(arms / np.linalg.norm(arms, axis=1, keepdims=True)) @ rotation[2], 0, 1) ** 2
        blinks = expression[self._blinks] if len(self._blinks) == 2 else np.zeros(2)
        seen = facing * np.clip((CLOSED - blinks) / CLOSED, 0, 1)
        weight = np.sqrt(np.repeat(seen, 2))
        gaze = np.zeros(2)
        for _ in range(GAZE_ROUNDS):
            turn = axis_angle_to_matrix(np.r_[gaze, 0])
            turned = arms @ turn.T
            points = (self._eyes + turned) @ rotation.T + translation
            moves = np.stack([np.cross(axis, turned) @ rotation.T for axis in np.eye(3)[:2]], 2)
            z = points[:, 2, None]
            jacobian = (moves[:, :2] - (points[:, :2] / z)[..., None] * moves[:, 2:]) * (self._focal / z)[..., None]
            A = weight[:, None] * jacobian.reshape(4, 2) * self._unit
            b = weight * ((irises - self._project(points)) * self._unit).ravel()
            step = np.linalg.solve(A.T @ A + GAZE_RIDGE**2 * np.eye(2), A.T @ b - GAZE_RIDGE**2 * gaze)
            gaze = np.clip(gaze + step, -MAX_GAZE, MAX_GAZE)
        return gaze, float(seen.max())


def _turn(a: np.ndarray, b: np.ndarray) -> float:
    """Radians between two rotations (3, 3) that are near each other."""
    return float(np.linalg.norm(a - b) / np.sqrt(2))


@numba.njit(cache=True)
def bounded_least_squares(gram, target, start, low, high, free):
    """Minimise x'Gx / 2 - t'x within bounds, by coordinates in turn; the free ones first are solved exactly each time.

    Args:
        gram: (n, n), positive definite. target: (n,).
        start: (n,), near the solution.
        low, high: (n,) bounds.
        free: how many coordinates, the first, have none.
    """
    n = len(target)
    x = start.copy()
    # The free coordinates are taken out: what is left of G and t without them.
    solved = np.linalg.solve(np.ascontiguousarray(gram[:free, :free]), np.ascontiguousarray(gram[:free, free:]))
    shift = np.linalg.solve(np.ascontiguousarray(gram[:free, :free]), target[:free].copy())
    G = gram[free:, free:] - np.ascontiguousarray(gram[free:, :free]) @ solved
    t = target[free:] - np.ascontiguousarray(gram[free:, :free]) @ shift
    m = n - free
    y = x[free:].copy()
    residual = t - G @ y
    for _ in range(SWEEPS):
        moved = 0.0
        for i in range(m):
            new = min(max(y[i] + residual[i] / G[i, i], low[free + i]), high[free + i])
            step = new - y[i]
            if step != 0.0:
                y[i] = new
                residual -= step * G[:, i]
                moved = max(moved, abs(step))
        if moved < 1e-5:
            break
    x[free:] = y
    x[:free] = shift - solved @ y
    return x
