"""The portrayed person's regions: the parser's, of the one whom the face belongs to, never without a face."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from backend.tracking.landmarks import FACE_OVAL
from backend.tracking.parser import CLASSES, PortraitParser, Regions, estimate_foreground
from backend.tracking.photo import Crop

VISIBLE = 0.7
"""Mean alpha of the face below which the matte is not believed."""
OTHER_PERSON = 0.03
"""Share of the crop from which on somebody else in it is worth a warning."""
COVERED = 0.2
"""Share of the face from which on it is called covered; caps and collars take less than half of that."""
SHOWN = 0.4
"""Share of the face that is skin from which on it is surely a face, whatever covers the rest."""
UNSURE = 0.8
"""Mean probability of the likeliest class below which the regions are called unsure."""
COLOURLESS = 4.0
"""Mean distance from grey, in Lab, below which a photo has no colours."""

Warnings = tuple[tuple[str, str], ...]


def find_person(crop: Crop, landmarks: np.ndarray) -> tuple[Regions, Warnings]:
    """What a crop shows of the person whose face it is about.

    Args:
        landmarks: (478, 2 or more), crop pixels.

    Returns:
        The regions, and warnings (code, sentence) where they are doubtful: several_people, face_covered, weak_matte,
        monochrome, unsure_regions.
    """
    regions = parsed = PortraitParser.shipped().parse(crop.image, crop.valid)
    if not crop.valid.any():
        return regions, ()
    face = np.zeros(crop.valid.shape, np.uint8)
    cv2.fillPoly(face, [np.rint(landmarks[list(FACE_OVAL), :2]).astype(np.int32)], (1,))
    inside = (face > 0) & crop.valid
    warnings = []
    own, other = _own_piece(regions.alpha, inside)
    if other > OTHER_PERSON:
        warnings.append(("several_people", "Somebody else is in the picture; only what joins the face is used."))
    regions = _without(regions, ~own)
    if inside.any() and _is_covered(parsed.probabilities[inside]):
        warnings.append(("face_covered", "Something covers a part of the face: what lies beneath is guessed."))
    seen = np.where(regions.labels == CLASSES.index("background"), 0, regions.alpha)
    if inside.any() and seen[inside].mean() < VISIBLE:
        warnings.append(("weak_matte", "The person could hardly be told from what is behind; the outline is a guess."))
        regions = _with_face(regions, inside)
    if _chroma(crop.image[crop.valid]) < COLOURLESS:
        warnings.append(("monochrome", "The photo has no colours; skin, hair and clothing are less sure."))
    if regions.probabilities.max(-1)[crop.valid].mean() < UNSURE:
        warnings.append(("unsure_regions", "It is not clear what is hair, skin or clothing; the head may look wrong."))
    if regions is not parsed:
        regions = replace(regions, foreground=estimate_foreground(crop.image, regions.alpha))
    return regions, tuple(warnings)


def _is_covered(face: np.ndarray) -> bool:
    """By the probabilities (n, 6) of the pixels within a face's oval."""
    shares = dict(zip(CLASSES, face.mean(0), strict=True))
    return shares["skin"] > SHOWN and shares["background"] + shares["headwear"] + shares["clothing"] > COVERED


def _own_piece(alpha: np.ndarray, face: np.ndarray) -> tuple[np.ndarray, float]:
    """(H, W) bool: what joins the face, with its soft edge; and the share of the image that other pieces cover."""
    _, pieces = cv2.connectedComponents((alpha > 0.5).astype(np.uint8))
    joined = np.isin(pieces, np.setdiff1d(np.unique(pieces[face]), 0))
    if not joined.any():
        return np.ones_like(face), 0.0
    others = (pieces > 0) & ~joined
    # A soft edge belongs to the nearer piece; strands that hang loose are worth keeping.
    distances = [
        cv2.distanceTransform((~piece).astype(np.uint8), cv2.DIST_L2, 3) if piece.any() else np.inf
        for piece in (joined, others)
    ]
    return np.asarray(distances[0] <= distances[1]), float(others.mean())


def _without(regions: Regions, gone: np.ndarray) -> Regions:
    if not gone.any():
        return regions
    probabilities = regions.probabilities.copy()
    probabilities[gone] = np.eye(len(CLASSES), dtype=np.float32)[CLASSES.index("background")]
    return replace(regions, probabilities=probabilities, alpha=np.where(gone, 0, regions.alpha).astype(np.float32))


def _with_face(regions: Regions, face: np.ndarray) -> Regions:
    """The face itself is person, whatever the network says; softly, as the oval is only about right."""
    soft = cv2.GaussianBlur(face.astype(np.float32), (0, 0), len(face) / 128)
    skin = np.eye(len(CLASSES), dtype=np.float32)[CLASSES.index("skin")]
    nobody = (soft * (regions.labels == CLASSES.index("background")))[..., None]
    probabilities = regions.probabilities * (1 - nobody) + skin * nobody
    return replace(regions, probabilities=probabilities, alpha=np.maximum(regions.alpha, soft))


def _chroma(pixels: np.ndarray) -> float:
    lab = cv2.cvtColor(pixels[None], cv2.COLOR_RGB2LAB)[0].astype(np.float32)
    return float(np.hypot(lab[:, 1] - 128, lab[:, 2] - 128).mean())
