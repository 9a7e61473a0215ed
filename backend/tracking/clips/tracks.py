"""Several faces in a clip, each told from the others: by where it goes, by its size and by its look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from backend.tracking.landmarks import Detection, detect_faces

LOOK = 24
"""Pixels of the thumbnail by which faces are compared."""
NEW, MOST_LOOKS = 0.8, 32
"""A look that is less like all those that a track keeps is one more of them, up to so many: a head that turns looks
less like itself from the front than like a stranger from the same side."""
ALIKE, SURELY = 0.7, 0.1
"""The least correlation with any look of a face by which it is that face; and by how much more a face that crosses
another must look like itself than like the other one."""
LOOKS_COUNT, SIZE_COUNTS = 3.0, 2.0
"""Face widths that a difference of 1 in correlation, and in the logarithm of the size, count in an assignment."""
CROSSING = 1.1
"""Face widths between two middles, under which one face can hide the other or be taken for it."""
REACH, MORE_REACH, GROWTH = 1.0, 3.0, 1.5
"""Face widths about its predicted place in which a face is looked for, and by how many that grows in a second in which
it isn't seen; and the factor by which it may grow."""
FORGOTTEN = 3.0
"""Seconds after which a face that is not seen is forgotten."""
NEAR, SOON = 2.5, 0.3
"""Face widths and seconds: another face so close, or on its way there so soon, is looked at in each picture."""


@dataclass(eq=False)
class Track:
    """One face on its way.

    Attributes:
        centre: (2,) pixels.
        width: pixels, of a detector's box.
        looks: how it has looked so far, see `look_of`.
        seen: when, in seconds.
        speed: (2,) pixels in a second.
    """

    centre: np.ndarray
    width: float
    looks: list[np.ndarray]
    seen: float
    speed: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def likeness(self, look: np.ndarray) -> float:
        """The correlation of a look with the nearest that it has had, in [-1, 1]."""
        return float(max(known @ look for known in self.looks))

    def at(self, seconds: float) -> np.ndarray:
        """(2,) pixels where it is expected."""
        return self.centre + self.speed * (seconds - self.seen)

    def move(self, centre: np.ndarray, seconds: float) -> None:
        """It is at (2,) pixels now."""
        passed = seconds - self.seen
        if passed > 0:
            self.speed = (self.speed + (centre - self.centre) / passed) / 2
        self.centre, self.seen = centre, seconds

    def see(self, face: Detection, look: np.ndarray, seconds: float) -> None:
        """Take what a detector sees of it now."""
        self.move(face.centre, seconds)
        self.width = face.width
        if self.likeness(look) < NEW:
            # Of too many the oldest goes, but never the first: it is the one that was chosen.
            self.looks[1:] = [*self.looks[1:], look][1 - MOST_LOOKS :]

    def crosses(self, other: Track, seconds: float) -> bool:
        """Whether one can hide the other."""
        apart = np.linalg.norm(self.at(seconds) - other.at(seconds))
        return bool(apart < CROSSING * (self.width + other.width) / 2)

    def is_close(self, other: Track, seconds: float) -> bool:
        """Whether they can cross soon."""
        width = max(self.width, other.width)
        return any(
            np.linalg.norm(self.at(seconds + later) - other.at(seconds + later)) < NEAR * width for later in (0.0, SOON)
        )


def look_of(picture: np.ndarray, face: Detection) -> np.ndarray:
    """A face's pixels, upright, of mean 0 and length 1, so that a product of two is their correlation.

    Returns:
        (LOOK * LOOK * 3,) float32.
    """
    turn: np.ndarray = cv2.getRotationMatrix2D(tuple(map(float, face.centre)), face.tilt, LOOK / max(face.width, 1.0))
    turn[:, 2] = turn[:, 2] + LOOK / 2 - face.centre
    small = cv2.warpAffine(picture, turn, (LOOK, LOOK), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    look = small.astype(np.float32).reshape(-1)
    look -= look.mean()
    return look / max(float(np.linalg.norm(look)), 1e-6)


def assign(
    tracks: Sequence[Track], faces: Sequence[Detection], looks: Sequence[np.ndarray], seconds: float
) -> list[int | None]:
    """Which of the faces that a detector sees is each track's; None where none can be.

    All are assigned at once, with the least sum of what they differ by in place, size and look.
    """
    if not faces:
        return [None] * len(tracks)
    beyond = 1e3
    costs = np.full((len(tracks), len(faces)), beyond)
    for row, track in enumerate(tracks):
        passed = seconds - track.seen
        for column, (face, look) in enumerate(zip(faces, looks, strict=True)):
            apart = np.linalg.norm(face.centre - track.at(seconds)) / track.width
            # Or still about where it was: people stop.
            apart = min(apart, np.linalg.norm(face.centre - track.centre) / track.width + 0.25)
            grown = abs(np.log(face.width / track.width))
            if apart <= REACH + MORE_REACH * passed and grown <= np.log(GROWTH * (1 + passed)):
                costs[row, column] = apart + SIZE_COUNTS * grown + LOOKS_COUNT * (1 - track.likeness(look))
    rows, columns = linear_sum_assignment(costs)
    of = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return [of[row] if row in of and costs[row, of[row]] < beyond else None for row in range(len(tracks))]


class Tracks:
    """The face that is followed, and its rivals: the others in the picture."""

    def __init__(self) -> None:
        self.own: Track | None = None
        self.rivals: list[Track] = []

    def begin(self, picture: np.ndarray, place: np.ndarray, width: float, seconds: float) -> None:
        """A shot begins; the followed face is at a place (2,) and as wide, in pixels."""
        faces = detect_faces(picture)
        self.own, self.rivals = None, []
        for face in sorted(faces, key=lambda face: np.linalg.norm(face.centre - place)):
            track = Track(face.centre, face.width, [look_of(picture, face)], seconds)
            if self.own is None and np.linalg.norm(face.centre - place) < face.width:
                self.own = track
            else:
                self.rivals.append(track)
        if self.own is None:
            # A face that was found in a part of the picture only, as small ones are.
            face = Detection(np.r_[place - width / 2, place + width / 2], 1.0, 0.0)
            self.own = Track(place, width, [look_of(picture, face)], seconds)

    def has_near(self, seconds: float) -> bool:
        """Whether a rival is so near that each picture is to be looked at."""
        return self.own is None or any(self.own.is_close(rival, seconds) for rival in self.rivals)

    def look(self, picture: np.ndarray, seconds: float, lost: bool) -> tuple[Detection | None, bool]:
        """Look at all faces of a picture.

        Args:
            picture: (H, W, 3) uint8.
            seconds: its time.
            lost: the followed face was not seen in the picture before.

        Returns:
            The followed face, where it is surely that; and whether another can be taken for it or hides it.
        """
        self.rivals = [rival for rival in self.rivals if seconds - rival.seen < FORGOTTEN]
        if self.own is None:
            return None, False
        faces = detect_faces(picture)
        looks = [look_of(picture, face) for face in faces]
        tracks = [self.own, *self.rivals]
        chosen = assign(tracks, faces, looks, seconds)
        crossed = [rival for rival in self.rivals if self.own.crosses(rival, seconds)]
        mine = None
        if chosen[0] is not None:
            like = self.own.likeness(looks[chosen[0]])
            apart = all(like > rival.likeness(looks[chosen[0]]) + SURELY for rival in crossed)
            # One that is alone, where the face was, is that face, however it has turned meanwhile.
            alone = len(faces) == 1 and not self.rivals
            stayed = alone and np.linalg.norm(faces[0].centre - self.own.centre) < self.own.width / 2
            if (like >= ALIKE or stayed or not (lost or crossed)) and apart:
                mine = faces[chosen[0]]
                self.own.see(mine, looks[chosen[0]], seconds)
        for track, number in zip(tracks[1:], chosen[1:], strict=True):
            # Where two cross, what is seen can be either: each goes on as before until they are apart.
            if number is not None and (track not in crossed or mine is not None):
                track.see(faces[number], looks[number], seconds)
        for number, (face, look) in enumerate(zip(faces, looks, strict=True)):
            known = number in chosen or np.linalg.norm(face.centre - self.own.at(seconds)) < face.width / 2
            if not known and not (mine is None and self.own.likeness(look) >= ALIKE):
                self.rivals.append(Track(face.centre, face.width, [look], seconds))
        return mine, bool(crossed) and mine is None
