"""The head model's own surface in the atlas: skin, eyes, the inside of the mouth."""

from __future__ import annotations

import cv2
import numpy as np

from backend.avatars.bust.atlas import (
    HAIR_BOX,
    HALF,
    HEAD_BOX,
    ISLAND,
    LENDS,
    SEEN,
    SIZE,
    TRUSTED,
    Layer,
    trust,
    without_islands,
)
from backend.avatars.bust.fill import alike, fill_vertices, pores, typical
from backend.avatars.bust.hair import HairSurface
from backend.avatars.bust.portrait import EYEWEAR, SKIN, Portrait
from backend.geometry.rasterizer import interpolate, rasterize
from backend.geometry.smoothstep import smoothstep

SEEN_EAR = (0.35, 0.65)
"""As SEEN, for ears: of a portrait's two thin crescents no ear can be made."""
ASIDE = (0.3, 0.7)
"""|cosines| to the camera's right between which a steep surface is steep because it is turned aside, not down."""
BEHIND = 0.007
"""Metres behind the nearest surface from which on a vertex is hidden."""
SEAM = 12.0
"""Texels of Gaussian beside what is seen of skin over which what is made up becomes like it."""


def paint_head(
    portrait: Portrait,
    vertices: np.ndarray,
    faces: np.ndarray,
    corners: np.ndarray,
    normals: np.ndarray,
    skin: np.ndarray,
    ears: np.ndarray,
    neck: np.ndarray,
    depth: np.ndarray,
    openness: np.ndarray,
    along_jaw: np.ndarray,
    hair: tuple[HairSurface, Layer] | None,
) -> Layer:
    """The head model's own surface: skin, eyes, the inside of the mouth.

    Args:
        vertices: (n, 3) head space. faces: (F, 3). corners: (F, 3, 2) atlas pixels. normals: (n, 3) unit.
        skin, ears, neck: (n,) bool, vertices that are skin (not eyes, sockets, mouth), the ears' and the neck's.
        depth: (S, S) metres, what the portrait sees of these faces.
        openness: (n,) in [0, 1], see `ambient_occlusion`. along_jaw: (n, 3), see `Anatomy.along_jaw`.
    """
    pixels = portrait.camera.project(vertices)
    facing = portrait.facing(vertices, normals)
    behind = portrait.camera.to_camera(vertices)[:, 2] - portrait.sample(
        np.where(np.isfinite(depth), depth, 9).astype(np.float32), pixels
    )
    # Beyond the face's outline the photo shows neck, ears and what hangs from them.
    face = (~(neck | ears)).astype(float)
    known = 1 - face * (1 - portrait.sample(portrait.face, pixels))
    own = portrait.regions[..., SKIN] + portrait.regions[..., EYEWEAR]
    pure = cv2.erode(portrait.regions[..., SKIN], np.ones((7, 7)))
    inner = cv2.erode(portrait.regions[..., SKIN], np.ones((13, 13))) ** 2
    known *= smoothstep(facing, *SEEN) * (behind < BEHIND) * portrait.sample(inner, pixels)
    inside = ((pixels > 1) & (pixels < portrait.size - 1)).all(1)
    known = known * inside
    soft = cv2.GaussianBlur(portrait.color * inner[..., None], (0, 0), 3.0)
    soft /= np.maximum(cv2.GaussianBlur(inner, (0, 0), 3.0), 1e-4)[..., None]
    colors = portrait.sample(soft, pixels)
    # A beard is no rim of light, but unlike most skin.
    jaw = np.linalg.norm(along_jaw, axis=1)
    usual = np.maximum(typical(colors, known * skin), jaw * typical(colors, known * jaw))
    # Rims of light and shadow along the outline belong to the photo's own side: they go on nowhere.
    square = smoothstep(facing, *TRUSTED)
    base = fill_vertices(faces, normals, vertices, openness, along_jaw, colors, known * skin * usual * square)
    under = np.zeros(len(vertices))
    if hair is not None:
        scalp, under = _under_hair(vertices, skin & ~ears, *hair)
        base = base + (scalp - base) * under[:, None]

    height, width = HEAD_BOX.height, SIZE
    split = np.arange(len(faces) * 3, dtype=np.int32).reshape(-1, 3)
    # Folds of lids and lips lie over one another in the chart: what is seen goes first; of an ear's what stands out.
    order = np.where(ears, 1 - np.abs(vertices[:, 0]), 2 - smoothstep(facing, 0.0, 0.3) * (behind < BEHIND))
    flat = np.column_stack([corners.reshape(-1, 2), order[faces.ravel()]])
    raster = rasterize(flat, split, width, height)
    aside = np.abs(normals @ portrait.camera.extrinsics[0, :3])
    attributes = np.column_stack([pixels, facing, base, behind, ears, under, face, aside])[faces.ravel()]
    values = interpolate(raster, split, attributes)
    at, fill = values[..., :2], values[..., 3:6]
    facing, behind, ear, under, face, aside = (values[..., i] for i in (2, 6, 7, 8, 9, 10))
    narrow = smoothstep(facing, 0.25, 0.6)
    shown = narrow * portrait.sample(own, at) + (1 - narrow) * portrait.sample(pure, at)
    square_on = smoothstep(facing, *SEEN) * (1 - ear) + smoothstep(facing, *SEEN_EAR) * ear
    seen = square_on * (behind < BEHIND) * smoothstep(shown, 0.35, 0.75) * raster.covered
    seen *= 1 - face * (1 - portrait.sample(portrait.face, at))
    photo = portrait.sample(portrait.color, at)
    # Towards the outline, what is unlike skin is an edge of hair or of an ear.
    seen *= trust(photo, seen, np.where(ear > 0, np.minimum(facing, TRUSTED[0]), facing))
    seen *= np.where(under < HALF, like_the_fill(photo, fill, facing, aside), 1)
    seen = np.minimum(seen, cv2.GaussianBlur(seen.astype(np.float32), (0, 0), 3) * 1.3)
    seen = np.clip(seen, 0, 1)
    skull = np.s_[:, : HEAD_BOX.width]
    seen[skull] = without_islands(seen[skull], ISLAND)
    fill[skull] += (1 - under[skull][..., None]) * pores(photo[skull], (seen[skull] > 0.8) & (facing[skull] > LENDS))
    fill[skull] += (1 - under[skull][..., None]) * joining(photo[skull] - fill[skull], seen[skull])
    seen = seen[..., None]
    color = photo * seen + fill * (1 - seen)
    color = _padded(color, raster.covered)
    return Layer(
        np.dstack([color, np.full(color.shape[:2], 255.0)]).astype(np.float32), seen[..., 0].astype(np.float32)
    )


def _under_hair(
    vertices: np.ndarray, skin: np.ndarray, surface: HairSurface, layer: Layer
) -> tuple[np.ndarray, np.ndarray]:
    """The scalp's colours (n, 3) and how far (n,) in [0, 1] it is painted as the hair over it, so that thin places and
    edges show no skin."""
    column, row, _ = surface.chart.coordinates(vertices)
    rows, columns = surface.chart.shape
    at = np.stack(
        [column / (columns - 1) * (HAIR_BOX.width - 1) + 0.5, row / (rows - 1) * (HAIR_BOX.height - 1) + 0.5], -1
    )
    soft = cv2.GaussianBlur(layer.rgba, (0, 0), 8)
    values = cv2.remap(
        soft,
        at[:, 0].astype(np.float32)[None],
        at[:, 1].astype(np.float32)[None],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )[0]
    return 0.85 * values[:, :3], smoothstep(values[:, 3] / 255, 0.15, 0.85) * skin


def like_the_fill(photo: np.ndarray, fill: np.ndarray, facing: np.ndarray, aside: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1]: 0 for rims of light and shadow along the outline, which are unlike the skin beside them.

    Args:
        photo, fill: (H, W, 3). facing: (H, W) cosines to the camera. aside: (H, W), see ASIDE.
    """
    steep = smoothstep(aside, *ASIDE) * (1 - smoothstep(facing, *TRUSTED))
    return 1 - steep * (1 - alike(photo, fill))


def joining(difference: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """What takes a fill to the photo (H, W, 3) that is seen (H, W), fading out beside it: no seam shows."""
    small = (seen.shape[1] // 4, seen.shape[0] // 4)
    parts = np.dstack([difference * seen[..., None], seen]).astype(np.float32)
    near = cv2.GaussianBlur(cv2.resize(parts, small, interpolation=cv2.INTER_AREA), (0, 0), SEAM / 4)
    return cv2.resize(near[..., :3] / (near[..., 3:] + 0.1), seen.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _padded(color: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """The colours of islands carried past their edges, so that sampling beside an edge meets no void."""
    void = (~covered).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(void, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    nearest = np.zeros(labels.max() + 1, int)
    nearest[labels[covered]] = np.flatnonzero(covered)
    return color.reshape(-1, color.shape[-1])[nearest[labels]]
