"""From a data set's captures to aligned subjects, with a summary of what was left out and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from backend.people.captures.alignment import HeadFrame, aligned_camera, cut
from backend.people.captures.ava256 import Ava256
from backend.people.captures.nersemble import NeRSemble
from backend.people.captures.panohead import PanoHead
from backend.people.captures.source import CaptureSource, dice
from backend.people.captures.subject import Capture, CapturedPicture, CapturedView, CaptureSubject, Unusable
from backend.people.captures.triangulation import triangulate
from backend.protocol.errors import TurboPortraitError

SOURCES: tuple[type[CaptureSource], ...] = (PanoHead, NeRSemble, Ava256)
FRONTAL_YAW, FRONTAL_PITCH = 15.0, 20.0
"""Degrees; a reference is not farther off the front."""
MOST_YAW, MOST_PITCH = 100.0, 50.0
"""Degrees; views of the back of the head are no targets: nothing in one portrait tells it (paper, Figure 6: 90)."""
PHOTO_MARGIN = 0.4
"""Of the aligned side, on each side, for the photo that an avatar is registered from."""


@dataclass(frozen=True)
class Skipped:
    """Something that did not enter: an identity, a moment of it, or a camera's picture; and the reason."""

    what: str
    reason: str


@dataclass
class LoadingSummary:
    """What was loaded.

    Attributes:
        source: the data set.
        identities: subjects loaded, by identity.
        views: target views in all.
        skipped: what is not among them.
    """

    source: str
    identities: dict[str, int] = field(default_factory=dict)
    views: int = 0
    skipped: list[Skipped] = field(default_factory=list)

    def skip(self, what: str, reason: object) -> None:
        """Note what is left out."""
        self.skipped.append(Skipped(what, str(reason)))

    def as_dict(self) -> dict:
        """For JSON."""
        return asdict(self)


def open_source(folder: Path) -> CaptureSource:
    """The data set that lies in a folder.

    Raises:
        TurboPortraitError: `unknown_data`: none that is known.
    """
    for kind in SOURCES:
        if folder.is_dir() and kind.found_in(folder):
            try:
                return kind(folder)
            except Unusable as reason:
                raise TurboPortraitError("unknown_data", f"{folder}: {reason}") from reason
    raise TurboPortraitError("unknown_data", str(folder))


def load_subjects(
    source: CaptureSource,
    size: int,
    summary: LoadingSummary,
    identities: list[str] | None = None,
    most_views: int | None = None,
) -> Iterator[CaptureSubject]:
    """Aligned subjects, one after another, so that a data set larger than the memory can be read.

    Args:
        source: from `open_source`.
        size: of the aligned pictures, pixels.
        summary: filled on the way.
        identities: only these; by default everyone.
        most_views: V, in place of the source's own.
    """
    for ignored in getattr(source, "ignored", ()):
        summary.skip(source.name, ignored)
    for identity in source.identities() if identities is None else identities:
        try:
            captures = source.captures(identity)
        except Unusable as reason:
            summary.skip(identity, reason)
            continue
        for capture in captures:
            what = f"{identity} {capture.moment}"
            for note in capture.notes:
                summary.skip(what, note)
            try:
                subject = assemble(capture, size, most_views or source.targets, summary)
            except Unusable as reason:
                summary.skip(what, reason)
                continue
            summary.identities[identity] = summary.identities.get(identity, 0) + 1
            summary.views += len(subject.targets)
            yield subject


def assemble(capture: Capture, size: int, most_views: int, summary: LoadingSummary) -> CaptureSubject:
    """Find the head, the frontal view and V target views, and align them.

    Raises:
        Unusable: no face, no frontal view, or no other view.
    """
    from backend.tracking.landmarks import find_landmarks

    what = f"{capture.identity} {capture.moment}"
    images, seen = {}, {}
    for picture in capture.pictures:
        try:
            images[picture.name] = picture.read()
        except Unusable as reason:
            summary.skip(what, f"{picture.name}: {reason}")
            continue
        landmarks = find_landmarks(images[picture.name])
        if landmarks is not None:
            seen[picture.name] = landmarks
    if not images:
        raise Unusable("there are no pictures")
    pictures = {picture.name: picture for picture in capture.pictures if picture.name in images}
    points = triangulate([(pictures[name].camera, landmarks) for name, landmarks in seen.items()])
    frame = HeadFrame.of_landmarks(points)
    angles = {name: frame.angles(picture.camera.center) for name, picture in pictures.items()}
    front = min(seen, key=lambda name: np.hypot(*angles[name]))
    if abs(angles[front][0]) > FRONTAL_YAW or abs(angles[front][1]) > FRONTAL_PITCH:
        raise Unusable(f"there is no frontal view; the nearest is {angles[front][0]:.0f} degrees off")

    rng = dice(capture.source, capture.identity, capture.moment)
    targets: list[CapturedView] = []
    for name in rng.permutation(sorted(set(pictures) - {front})):
        yaw, pitch = angles[name]
        if len(targets) == most_views or abs(yaw) > MOST_YAW or abs(pitch) > MOST_PITCH:
            continue
        try:
            targets.append(_view(pictures[name], images[name], frame, size, (yaw, pitch)))
        except Unusable as reason:
            summary.skip(what, f"{name}: {reason}")
    if not targets:
        raise Unusable("there is no view besides the reference")
    reference = _view(pictures[front], images[front], frame, size, angles[front])
    wide = aligned_camera(pictures[front].camera, frame, 2 * size, PHOTO_MARGIN)
    margin = 2 * size * PHOTO_MARGIN
    return CaptureSubject(
        capture.source,
        capture.identity,
        capture.moment,
        reference,
        tuple(sorted(targets, key=lambda view: view.yaw)),
        photo=cut(images[front], pictures[front].camera, frame, wide),
        photo_margin=(margin, margin),
        photo_side=2.0 * size,
        landmarks=(points - frame.origin) @ frame.axes.T,
        flame=capture.flame,
    )


def _view(
    picture: CapturedPicture, image: np.ndarray, frame: HeadFrame, size: int, angles: tuple[float, float]
) -> CapturedView:
    camera = aligned_camera(picture.camera, frame, size)

    def mask(read) -> np.ndarray | None:
        return None if read is None else cut(read(), picture.camera, frame, camera, border=0)

    aligned = cut(image, picture.camera, frame, camera)
    return CapturedView(picture.name, aligned, mask(picture.read_mask), mask(picture.read_head), camera, *angles)
