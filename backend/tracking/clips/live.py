"""A face before a camera, picture by picture: what comes next is not known, so smoothing may not wait for it."""

from __future__ import annotations

import numpy as np

from backend.protocol.arkit import ACTIONS, region_of
from backend.protocol.performance import DIGITS, Frame
from backend.tracking.clips.actor import Actor, FrameFit
from backend.tracking.clips.following import FaceFollower, upright
from backend.tracking.clips.smoothing import OneEuro
from backend.tracking.embedding import with_landmarks
from flame import HeadModel
from flame.rotations import axis_angle_to_matrix, matrix_to_axis_angle

CUTOFFS = {"head": (1.5, 6.0), "place": (1.5, 40.0), "mouth": (4.0, 3.0), "brows": (2.0, 2.0), "lids": (10.0, 4.0)} | {
    "gaze": (2.0, 6.0)
}
"""For a value at rest, Hz, and how many more for a unit a second (radian, metre, whole action): see `OneEuro`."""


class LiveTracker:
    """Tracks one face; its first picture with a face gives the identity and counts as neutral."""

    def __init__(self, model: HeadModel, face: int = 0, smoothing: float = 1.0) -> None:
        """Begin.

        Args:
            model: with ARKit's 52 actions.
            face: of several faces the one counted from 1 at the left; 0 for the largest.
            smoothing: factor on the usual smoothing; 0 for none.
        """
        self._model = with_landmarks(model)
        self._order = [self._model.expression_names.index(action) for action in ACTIONS]
        self._follower = FaceFollower(face)
        self._actor: Actor | None = None
        self._about = np.eye(3)
        self._before: FrameFit | None = None
        self._last: Frame | None = None
        regions = ["head"] * 3 + ["place"] * 3 + ["gaze"] * 2 + [region_of(action) for action in ACTIONS]
        cutoffs = np.array([CUTOFFS[region] for region in regions])
        self._smooth = OneEuro(*cutoffs.T / smoothing) if smoothing else None

    def track(self, picture: np.ndarray, seconds: float) -> Frame | None:
        """The frame of a performance that a picture (H, W, 3) uint8 shows; None before the first face.

        Where the face is not seen it keeps what it did, with confidence 0.

        Raises:
            TrackingError: no_such_face and the like, as `track_clip`.
        """
        found = self._follower.follow(picture, seconds)
        if found.landmarks is None:
            self._before = None
            return self._held(seconds)
        if self._actor is None:
            shown = upright(picture, self._follower.turns)
            self._actor = Actor(shown, found.landmarks, self._model, found.openings)
        fit = self._actor.fit(found.landmarks, None if found.cut else self._before, found.openings)
        if fit.confidence == 0:
            self._before = None
            return self._held(seconds)
        if self._last is None:
            self._about = fit.head
        self._before = fit
        values = np.r_[self._actor.motion(fit, self._about), fit.gaze, fit.expression[self._order]]
        if self._smooth is not None:
            values = self._smooth.next(seconds, values)
        head = matrix_to_axis_angle(self._about @ axis_angle_to_matrix(values[:3]))
        gaze = np.r_[values[6:8], 0]
        # Zero is added, for otherwise there are negative ones.
        numbers = (head, values[3:6], np.clip(values[8:], 0, 1), *2 * (gaze,))
        head, place, expression, left, right = ((np.round(each, DIGITS) + 0.0).tolist() for each in numbers)
        self._last = Frame(seconds, head, place, expression, left + right, round(fit.confidence, DIGITS), found.cut)
        return self._last

    def _held(self, seconds: float) -> Frame | None:
        last = self._last
        if last is None:
            return None
        return Frame(seconds, last.head, last.translation, last.expression, last.gaze, 0.0)
