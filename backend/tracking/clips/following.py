"""One face followed through pictures: near where it was, after a gap where it can be by then, after a cut anywhere.

The other faces are followed, too, so that one that crosses it or comes in when it has left is not taken for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from backend.tracking.clips.tracks import Tracks
from backend.tracking.errors import TrackingError
from backend.tracking.face_mesh import roi_of
from backend.tracking.faces import find_face
from backend.tracking.landmarks import Detection, detect_faces, find_again, find_landmarks
from backend.tracking.photo import crop_box, to_photo

T = TypeVar("T")
CROP = 320
"""Pixels of the square about a detector's box in which landmarks are found at first; the network looks at 192."""
THUMBNAIL = (48, 27)
CUT, CUT_RATIO, RECOLOURED = 15.0, 3.0, 0.2
"""Levels of 255 by which a thumbnail changes at a cut, how many times more than between the frames before, and the
share of its pixels that get another colour: a camera that turns moves all of them, but the colours stay."""
MAX_STEP, MAX_GROWTH = 0.6, 1.5
"""Face widths that a face may move, and the factor that it may grow, from one picture to the next."""
SEARCH_EVERY = 3
"""Before the first face is found, every so many pictures are searched."""
LOOK_ROUND_EVERY = 3
"""Pictures, after which other faces are looked for where none is near."""
ELSEWHERE = 0.05
"""Share of the square that the network saw, by which a face is off its middle there that is looked at once more: from
one picture to the next it is a third of that."""
LATER = 0.15
"""Seconds between two pictures after which the face is looked for by the detector: it can be anywhere near."""


@dataclass(frozen=True, eq=False)
class Found:
    """What one picture shows.

    Attributes:
        landmarks: (478, 3) float32 in pixels of the upright picture; None where the face is not seen.
        openings: (2,) how far open the right and the left eye are, see `find_eyes`.
        cut: another shot begins.
    """

    landmarks: np.ndarray | None
    openings: np.ndarray | None = None
    cut: bool = False


class FaceFollower:
    """Follows the most prominent face, or another.

    Attributes:
        turns: quarter turns to the left after which the pictures are upright; known with the first face.
        warnings: codes and sentences about the first picture with a face.
        refusal: why there is no face yet; None once there is one.
        network_seconds: spent on landmarks, in all.
        network_calls: how often landmarks were looked for.
    """

    def __init__(self, number: int = 0) -> None:
        """`number`: of several faces the one counted from 1 at the left; 0 for the largest."""
        self._number = number
        self._last: np.ndarray | None = None
        self._seen_at = 0.0
        self._speed = np.zeros(2)
        self._tracks = Tracks()
        self._lost = False
        self._thumbnail: np.ndarray | None = None
        self._usual = 0.0
        self._pictures = 0
        self.turns = 0
        self.warnings: tuple[tuple[str, str], ...] = ()
        self.refusal: TrackingError | None = None
        self.network_seconds, self.network_calls = 0.0, 0

    def follow(self, picture: np.ndarray, seconds: float) -> Found:
        """The face in the next picture (H, W, 3) uint8, at a time in seconds."""
        self._pictures += 1
        cut = self._is_cut(picture)
        last = self._last
        if last is None:
            found = self._first(picture, seconds)
            return Found(None, cut=cut) if found is None else Found(*found, cut)
        picture = upright(picture, self.turns)
        found = self._anywhere(picture, seconds) if cut else self._near(last, picture, seconds)
        self._lost = found is None
        return Found(None, cut=cut) if found is None else Found(*found, cut)

    def _near(self, last: np.ndarray, picture: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray] | None:
        """The landmarks where the face that was last seen with these can be by now, and how far open its eyes are."""
        if self._tracks.own is None:
            # Of a shot that has not shown it yet.
            return self._anywhere(picture, seconds)
        seen, hidden = None, False
        passed = seconds - self._seen_at
        later = passed > LATER
        looked = self._lost or later or self._tracks.has_near(seconds) or self._pictures % LOOK_ROUND_EVERY == 0
        if looked:
            seen, hidden = self._tracks.look(picture, seconds, self._lost)
        if hidden:
            return None
        if not self._lost and not (later and seen is not None):
            found = self._again(last, picture, passed)
            if found is not None and _fits(found[0], last) and (seen is None or is_at(found[0], seen)):
                step = middle(found[0]) - middle(last)
                self._keep(found, seconds, step / max(passed, 1e-3))
                if seen is None:
                    own = self._tracks.own
                    own.move(own.centre + step, seconds)
                return found
            if not looked:
                seen, hidden = self._tracks.look(picture, seconds, lost=True)
        return None if seen is None or hidden else self._in(picture, seen, seconds)

    def _again(self, last: np.ndarray, picture: np.ndarray, passed: float) -> tuple[np.ndarray, np.ndarray] | None:
        """The landmarks where the face should be after so many seconds, and about there."""
        expected = last.copy()
        expected[:, :2] += self._speed * passed
        found = self._timed(find_again, picture, expected)
        if found is not None:
            square = roi_of(expected)
            if np.linalg.norm(roi_of(found[0]).centre - square.centre) > ELSEWHERE * square.side:
                found = self._timed(find_again, picture, found[0])
        return found

    def _anywhere(self, picture: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray] | None:
        """Another shot shows the face anywhere; the largest is the one."""
        self._tracks = Tracks()
        for face in detect_faces(picture):
            found = self._in(picture, face, seconds)
            if found is not None:
                self._tracks.begin(picture, face.centre, face.width, seconds)
                return found
        return None

    def _in(self, picture: np.ndarray, face: Detection, seconds: float) -> tuple[np.ndarray, np.ndarray] | None:
        """The landmarks of a face that a detector sees."""
        crop = crop_box(picture, face.box, CROP)
        near = self._timed(find_landmarks, crop.image)
        found = None if near is None else self._timed(find_again, picture, to_photo(crop, near))
        return self._keep(found, seconds) if found is not None and is_at(found[0], face) else None

    def _first(self, picture: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray] | None:
        if (self._pictures - 1) % SEARCH_EVERY:
            return None
        try:
            face = find_face(picture, self._number)
        except TrackingError as error:
            self.refusal = error
            return None
        # Found once more as in all later pictures.
        found = self._timed(find_again, face.photo, face.landmarks)
        if found is not None:
            self.turns, self.warnings, self.refusal = face.turns, face.warnings, None
            self._keep(found, seconds)
            self._tracks.begin(face.photo, middle(found[0]), width_of(found[0]), seconds)
        return found

    def _keep(
        self, found: tuple[np.ndarray, np.ndarray], seconds: float, speed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        self._last, self._seen_at, self._speed = found[0], seconds, np.zeros(2) if speed is None else speed
        return found

    def _timed(self, find: Callable[..., T | None], *arguments: np.ndarray) -> T | None:
        started = time.perf_counter()
        found = find(*arguments)
        self.network_seconds += time.perf_counter() - started
        self.network_calls += 1
        return found

    def _is_cut(self, picture: np.ndarray) -> bool:
        # Every so many pixels only: averaging all of them would take as long as the network.
        step = max(min(picture.shape[1] // 192, picture.shape[0] // 108), 1)
        sparse = np.ascontiguousarray(picture[::step, ::step])
        thumbnail = cv2.resize(sparse, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
        before, self._thumbnail = self._thumbnail, thumbnail
        if before is None or before.shape != thumbnail.shape:
            return False
        change = float(np.abs(thumbnail - before).mean())
        cut = change > max(CUT, CUT_RATIO * self._usual) and _recoloured(thumbnail, before) > RECOLOURED
        self._usual = 0.0 if cut else 0.8 * self._usual + 0.2 * change
        return cut


def _fits(landmarks: np.ndarray, last: np.ndarray) -> bool:
    """Whether landmarks can be those of the same face, one picture later."""
    width = width_of(last)
    apart = np.linalg.norm(middle(landmarks) - middle(last)) / width
    return bool(apart <= MAX_STEP and abs(np.log(width_of(landmarks) / width)) <= np.log(MAX_GROWTH))


def _recoloured(now: np.ndarray, before: np.ndarray) -> float:
    """The share of pixels that have a colour, of 4 x 4 x 4, which is not there before."""
    counts = [
        cv2.calcHist([each], [0, 1, 2], None, [4, 4, 4], [0, 256] * 3) / each[..., 0].size for each in (now, before)
    ]
    return float(np.abs(counts[0] - counts[1]).sum() / 2)


def upright(picture: np.ndarray, turns: int) -> np.ndarray:
    """A picture turned by quarter turns to the left."""
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def middle(landmarks: np.ndarray) -> np.ndarray:
    """(2,) pixels, of the box about a face's landmarks."""
    return (landmarks[:468, :2].min(0) + landmarks[:468, :2].max(0)) / 2


def is_at(landmarks: np.ndarray, face: Detection) -> bool:
    """Whether landmarks lie where a detector sees a face."""
    return bool(np.linalg.norm(middle(landmarks) - face.centre) < face.width / 2)


def width_of(landmarks: np.ndarray) -> float:
    """Pixels, of that box's longer side: a face that turns gets narrow, but not short."""
    return float(np.ptp(landmarks[:468, :2], axis=0).max())
