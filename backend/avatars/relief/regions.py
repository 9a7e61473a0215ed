"""Which part of the photo is face, neck, ear, hair or clothing, and which surface shows it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from backend.rasterizer import Raster, rasterize
from backend.tracking import TrackedPortrait
from backend.tracking.landmarks import FACE_OVAL
from flame import HeadModel
from flame.geometry import vertex_normals

JAW_LINE = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454)
CHIN, FOREHEAD, NOSE_ROOT = 152, 10, 168
BALD = 0.75
"""Share of skin's colours above the face from which a head is bald."""
FOREHEAD = 0.06
"""Share of the crop's side that a bare forehead reaches above the face oval."""
SLIVER = 4
"""Half the width, in pixels, up to which something beside the skin is not worth a surface of its own."""
SKIN_DISTANCE = 3.2
"""Mahalanobis distance in Lab up to which a pixel has the face's skin colour."""


@dataclass(frozen=True)
class PosedModel:
    """The fitted head model as the portrait's camera sees it.

    Attributes:
        points: (V, 3) float64, camera space, metres.
        faces: (F, 3) int32.
        screen: (V, 3) float32, crop pixels and depth.
        normals: (V, 3) outward unit normals in camera space.
        whole, head: rasters of the whole mesh, and of the mesh without its torso.
        head_vertices: (V,) bool, what is not torso.
        eyes: (V,) bool.
    """

    points: np.ndarray
    faces: np.ndarray
    screen: np.ndarray
    normals: np.ndarray
    whole: Raster
    head: Raster
    head_vertices: np.ndarray
    eyes: np.ndarray


@dataclass(frozen=True)
class PortraitRegions:
    """Masks (S, S) bool over the portrait's crop.

    Attributes:
        person: the matte, one piece without holes.
        face: the face oval.
        owned: where the head mesh itself is the visible surface: face, ears that show, bare neck.
        skin: owned pixels of the face's own colour, so without hair's shadows and the temples of glasses.
        hair: hair, hats and whatever else hangs on the head and is not owned.
        clothing: the rest of the person.
        ears: which ears show, (left, right), the person's own.
    """

    person: np.ndarray
    face: np.ndarray
    owned: np.ndarray
    skin: np.ndarray
    hair: np.ndarray
    clothing: np.ndarray
    ears: tuple[bool, bool]


def pose_model(tracked: TrackedPortrait, model: HeadModel) -> PosedModel:
    """Place the fitted head model before the portrait's camera."""
    return posed_at(tracked, model, tracked.camera.to_camera(tracked.vertices.astype(float)))


def posed_at(tracked: TrackedPortrait, model: HeadModel, points: np.ndarray) -> PosedModel:
    """The head model with its vertices (V, 3) at these places in the portrait's camera space, metres."""
    size = tracked.camera.width
    projected = points @ tracked.camera.intrinsics.T
    screen = np.concatenate([projected[:, :2] / projected[:, 2:], points[:, 2:]], 1)
    head_vertices = _not_torso(model)
    head_faces = model.faces[head_vertices[model.faces].all(1)]
    return PosedModel(
        points,
        model.faces,
        screen.astype(np.float32),
        vertex_normals(points, model.faces),
        rasterize(screen, model.faces, size, size),
        rasterize(screen, head_faces, size, size),
        head_vertices,
        eyes=model.lbs_weights[:, 3:5].sum(1) > 0.5,
    )


def _not_torso(model: HeadModel) -> np.ndarray:
    """(V,) bool: head and neck. Without a torso region, what the root joint does not move alone."""
    member = model.lbs_weights[:, 0] < 0.9
    if "torso" in model.regions:
        member = np.ones(len(model.v_template), bool)
        member[model.regions["torso"]] = False
    return member


def find_skin(tracked: TrackedPortrait) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masks (S, S) of the person, of the face oval and of skin."""
    landmarks = tracked.landmarks[:, :2]
    person = _one_piece(tracked.matte > 0.5)
    face = _polygon(landmarks[list(FACE_OVAL)], tracked.camera.width)
    return person, face, _skin(tracked.image, face, landmarks, person)


def find_regions(
    tracked: TrackedPortrait,
    model: HeadModel,
    posed: PosedModel,
    person: np.ndarray,
    face: np.ndarray,
    skin: np.ndarray,
) -> PortraitRegions:
    """Divide the portrait among the surfaces that will show it; the masks are those of `find_skin`."""
    size = tracked.camera.width
    landmarks = tracked.landmarks[:, :2]

    jaw_points = landmarks[list(JAW_LINE)]
    order = np.argsort(jaw_points[:, 0])
    jaw = np.interp(np.arange(size), jaw_points[order, 0], jaw_points[order, 1])
    below_jaw = np.arange(size)[:, None] > jaw[None]
    under_chin = np.arange(size)[:, None] < jaw[None] + 0.03 * size
    neck = posed.head.covered & person & below_jaw & (skin | under_chin)

    ears, ear_pixels = [], np.zeros_like(person)
    for name in ("ear_left", "ear_right"):
        pixels = _region_pixels(model, posed, name) & ~face
        shows = pixels.sum() > 20 and (pixels & skin).sum() > 0.45 * pixels.sum()
        ears.append(bool(shows))
        if shows:
            ear_pixels |= (pixels | _between(pixels, face)) & person & skin

    # The bare forehead reaches above the oval. Hair can have skin's colours in places, so only near the oval, or all
    # over where nearly everything has them: a bald head.
    above = posed.head.covered & person & ~face & (np.arange(size)[:, None] < landmarks[NOSE_ROOT, 1])
    bald = (above & skin).sum() > BALD * above.sum()
    near_face = ndimage.distance_transform_edt(~face) < FOREHEAD * size
    forehead = above & skin & (near_face | bald)

    inner = cv2.erode(face.astype(np.uint8), np.ones((3, 3))) > 0
    owned = ndimage.binary_opening(posed.head.covered & (inner | neck | ear_pixels | forehead), iterations=2)
    owned = ndimage.binary_closing(owned | (inner & posed.head.covered), iterations=3) & posed.head.covered & person
    # Slivers beside the mesh are its own edge, not hair.
    rest = person & ~owned
    sliver = rest & ~ndimage.binary_opening(rest, iterations=SLIVER)
    owned |= sliver & ndimage.binary_dilation(posed.head.covered & owned, iterations=2 * SLIVER)
    hair = _hangs_on_head(person & ~owned, landmarks)
    return PortraitRegions(person, face, owned, owned & skin, hair, person & ~owned & ~hair, tuple(ears))


def _hangs_on_head(rest: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Of what is neither face nor neck, the pieces that begin above the brows; where they join the clothing, the part
    above the chin."""
    labels, count = ndimage.label(ndimage.binary_opening(rest, iterations=1))
    chin = int(landmarks[CHIN, 1])
    hair = np.zeros_like(rest)
    for label, box in zip(range(1, count + 1), ndimage.find_objects(labels), strict=True):
        top, bottom = box[0].start, box[0].stop
        if bottom >= rest.shape[0] - 1 and top >= landmarks[NOSE_ROOT, 1]:
            continue
        piece = labels == label
        if bottom > chin + 0.1 * rest.shape[0]:
            piece[chin:] = False
        hair |= piece
    # What the opening took off goes to the nearer of the two.
    away = ndimage.distance_transform_edt(~hair) if hair.any() else np.full(rest.shape, np.inf)
    clothing = (labels > 0) & ~hair
    away_from_clothing = ndimage.distance_transform_edt(~clothing) if clothing.any() else np.full(rest.shape, np.inf)
    return rest & (away < away_from_clothing)


def _one_piece(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if count > 1:
        mask = labels == 1 + np.argmax(ndimage.sum(mask, labels, range(1, count + 1)))
    return ndimage.binary_fill_holes(mask)


def _polygon(points: np.ndarray, size: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    return mask > 0


def _skin(image: np.ndarray, face: np.ndarray, landmarks: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Pixels of the face's own skin colour that hang together with the face."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    inner = cv2.erode(face.astype(np.uint8), np.ones((9, 9))) > 0
    cheeks = inner.copy()
    cheeks[: int(landmarks[NOSE_ROOT, 1])] = False  # a fringe may hide the forehead
    samples = lab[cheeks]
    centre = np.median(samples, 0)
    near = samples[np.abs(samples - centre).max(1) < 40]
    precision = np.linalg.inv(np.cov((near - centre).T) + 15 * np.eye(3))
    offset = lab - centre
    distance = np.sqrt(np.einsum("hwi,ij,hwj->hw", offset, precision, offset))
    skin = (cv2.medianBlur((distance < SKIN_DISTANCE).astype(np.uint8), 7) > 0) & person
    labels, _ = ndimage.label(ndimage.binary_opening(skin, iterations=2) | inner)
    return skin & np.isin(labels, np.setdiff1d(np.unique(labels[inner]), 0))


def _region_pixels(model: HeadModel, posed: PosedModel, name: str) -> np.ndarray:
    """Where a region of the mesh projects, hidden or not."""
    size = posed.whole.triangle.shape[0]
    if name not in model.regions:
        return np.zeros((size, size), bool)
    member = np.zeros(len(posed.points), bool)
    member[model.regions[name]] = True
    return rasterize(posed.screen, model.faces[member[model.faces].all(1)], size, size).covered


def _between(ear: np.ndarray, face: np.ndarray) -> np.ndarray:
    """The strip between an ear and the face, row by row."""
    between = np.zeros_like(ear)
    for row in np.flatnonzero(ear.any(1) & face.any(1)):
        columns, oval = np.flatnonzero(ear[row]), np.flatnonzero(face[row])
        if columns.mean() < oval.mean():
            between[row, columns.min() : oval.min() + 1] = True
        else:
            between[row, oval.max() : columns.max() + 1] = True
    return between
