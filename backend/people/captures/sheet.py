"""A contact sheet of aligned subjects."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from backend.people.captures.subject import CapturedView, CaptureSubject

TILE, COLUMNS = 128, 8
BACKGROUND = 40


def contact_sheet(subjects: Sequence[CaptureSubject]) -> np.ndarray:
    """A row a subject, (H, W, 3) uint8: the reference framed, then target views from one side to the other.

    Each says the source and person or the yaw; what is not the person is dimmed where the data has a mask.
    """
    rows = []
    for subject in subjects:
        chosen = np.linspace(0, len(subject.targets) - 1, min(COLUMNS - 1, len(subject.targets))).round().astype(int)
        tiles = [_tile(subject.reference, f"{subject.source} {subject.identity}", frame=True)]
        tiles += [_tile(subject.targets[i], f"{subject.targets[i].yaw:+.0f} deg") for i in chosen]
        row = np.full((TILE, TILE * COLUMNS, 3), BACKGROUND, np.uint8)
        row[:, : TILE * len(tiles)] = np.hstack(tiles)
        rows.append(row)
    return np.vstack(rows)


def _tile(view: CapturedView, words: str, frame: bool = False) -> np.ndarray:
    image = view.image.astype(np.float32)
    if view.mask is not None:
        image *= 0.35 + 0.65 * view.mask[..., None].astype(np.float32) / 255
    tile = cv2.resize(image, (TILE, TILE), interpolation=cv2.INTER_AREA).astype(np.uint8)
    if frame:
        cv2.rectangle(tile, (0, 0), (TILE - 1, TILE - 1), (255, 170, 40), 2)
    for color, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, words[:20], (4, TILE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.36, color, width, cv2.LINE_AA)
    return tile
