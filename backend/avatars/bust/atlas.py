"""The atlas: what the photo saw of each surface, projected in; the rest filled; alpha and confidence beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from backend.avatars.bust.chart import RadialChart
from backend.avatars.bust.fill import alike, continue_detail, fill_vertices, patches, pores, pull_push, strands, typical
from backend.avatars.bust.hair import HairSurface
from backend.avatars.bust.islands import Box
from backend.avatars.bust.portrait import BACKGROUND, CLOTHING, EYEWEAR, HEADWEAR, SKIN, Portrait, smooth_rows
from backend.avatars.bust.torso import TorsoSurface
from backend.geometry.rasterizer import interpolate, rasterize
from backend.geometry.smoothstep import smoothstep

SIZE = 2048
HEAD_BOX = Box(0, 0, 1408, 1024)
SMALL_BOX = Box(1408, 0, 640, 1024)
HAIR_BOX = Box(0, 1024, 1152, 1024)
TORSO_BOX = Box(1152, 1024, 896, 1024)
TEETH_BOX = Box(SMALL_BOX.left, SMALL_BOX.top + 640, 256, 256)
SEEN = (0.08, 0.35)
"""Cosines to the photo's ray between which a surface goes from not seen to seen."""
TRUSTED = (0.35, 0.65)
"""Cosines below which only colours like most of a surface's are taken for its own, and from which on all are."""
SEEN_EAR = (0.35, 0.65)
"""As SEEN, for ears: of a portrait's two thin crescents no ear can be made."""
SEEN_HAIR = (0.2, 0.55)
"""As SEEN, for hair: what lies in the shadow between hair and cheek is no colour for its side."""
BEHIND = 0.007
"""Metres behind the nearest surface from which on a vertex is hidden."""
LENDS = 0.5
"""Cosine to the photo's ray from which a surface shows its strands and folds undistorted."""
FOLDS, STRANDS, LOCKS = (5.0, 0.3), (12.0, 0.8), (20.0, 0.8)
"""Texels of blur that part folds, strands or locks of hair from the colour under them, and the share of the known
part's contrast that made-up ones have: what is invented should not draw the eye."""
FOLD, LOCK, LOCKS_KNOWN, LOCKS_SHOWN = (96, 96), (160, 80), 0.9, 400
"""Texels of the patches that folds and locks are taken from; how much of a lock is known, and how many patches of them
a photo shows that shows enough to go on with."""
STRANDS_PER_DEPTH = 1000.0
"""Texels of Gaussian along strands for each metre that hair stands off the skull."""
HALF = 0.5
UNLIKE_HAIR = 60.0
"""Grey levels by which headwear is brighter or darker than the hair beside it, or of another colour."""
ROUND = 8.0
"""Texels of blur between rows that go round a head as headwear and as hair."""
WORN = 0.84
"""Share of what covers a head from which on it is headwear alone; below the rest of it, hair alone."""
SHAVEN_DEPTH, SHAVEN_CHROMA, SHAVEN_LIGHT, GREY_LIGHT = (0.022, 0.032), (0.1, 0.16), (0.75, 0.95), (1.25, 1.45)
"""See `_shaven`: depths of hair, its spread over red, green and blue as a share of their mean, its
brightness as a share of skin's, and from where on it is grey hair's."""
STUBBLE = 0.72
"""A shaven scalp's brightness as a share of skin's."""
LEAST_SEEN, ISLAND = 0.1, 0.02
"""How far a texel is seen to count for an island, and the share of the largest one's area below which one is noise."""
THREAD, CRACK = 15, 41
"""Texels up to which what stands up from clothing is a thread of its outline, not a collar, and a gap at its outline is
a crack."""
TUFT = 51
"""Texels up to which what stands out of hair, or into it, is a strand of the photo."""
SEAM = 12.0
"""Texels of Gaussian beside what is seen of skin over which what is made up becomes like it."""
RIM = (1.5, 8.0)
"""Pixels from the person's outline between which hair's colour goes from the light's around it to its own."""
LEAST_WEIGHT = 0.003
"""What the usual counts beside what is seen nearby."""
FROM_ABOVE = 0.15
"""How much brighter what looks up is that the photo does not show than what it shows, as a share."""


@dataclass(frozen=True)
class Layer:
    """A surface's part of the atlas: rgba (H, W, 4) float32 in 0..255 and confidence (H, W) float32 in [0, 1]."""

    rgba: np.ndarray
    confidence: np.ndarray


class ChartTexels:
    """A radial surface's texels as the portrait sees them."""

    def __init__(self, points: np.ndarray, portrait: Portrait, box: Box):
        """`points` (rows, columns, 3) in head space."""
        normals = RadialChart.normals(points)
        facing = portrait.facing(points, normals)[..., None]
        grid = np.concatenate([portrait.camera.project(points), facing, normals[..., 1:2]], -1).astype(np.float32)
        rows, columns = points.shape[:2]
        self.box = box
        self.column = np.linspace(0, columns - 1, box.width, dtype=np.float32)
        self.row = np.linspace(0, rows - 1, box.height, dtype=np.float32)
        self._grid = np.meshgrid(self.column, self.row)
        texels = self.resample(grid)
        self.pixels, self.facing, self.upward = texels[..., :2], texels[..., 2], texels[..., 3]
        size = portrait.size
        self.azimuth = self.along_row(np.linspace(-np.pi, np.pi, columns))
        self.inside = ((self.pixels > 0) & (self.pixels < size)).all(-1)
        self.seen = smoothstep(self.facing, *SEEN) * self.inside

    def along_row(self, values: np.ndarray) -> np.ndarray:
        """Values (columns,) at the grid's columns to (W,) float32 at those of the texels."""
        return np.interp(self.column, np.arange(len(values)), values).astype(np.float32)

    def resample(self, grid: np.ndarray) -> np.ndarray:
        """Values (rows, columns, ...) at the grid's points to values at the texels."""
        columns, rows = self._grid
        return cv2.remap(grid.astype(np.float32), columns, rows, cv2.INTER_LINEAR)


def paint_hair(portrait: Portrait, surface: HairSurface) -> Layer:
    """Hair and headwear."""
    texels = ChartTexels(surface.chart.points(surface.radius), portrait, HAIR_BOX)
    cover = portrait.cover
    shown = portrait.sample(cover, texels.pixels)
    pure = portrait.sample(cv2.erode(cover, np.ones((5, 5))), texels.pixels)
    known = smoothstep(texels.facing, *SEEN_HAIR) * texels.inside * smoothstep(pure, 0.4, 0.8)
    known = np.minimum(known, cv2.GaussianBlur(known, (0, 0), 3) * 1.2).astype(np.float32)
    square_on = smoothstep(texels.facing, 0.2, 0.5)
    lends = (known > 0.8) & (texels.facing > LENDS)
    photo = portrait.sample(portrait.color, texels.pixels)
    trusted = _trusted(photo, known, texels.facing)
    known *= trusted
    depth = surface.radius - surface.skull
    longest = STRANDS_PER_DEPTH * (depth * surface.hidden).sum() / max(surface.hidden.sum(), 1e-6)
    within = cv2.distanceTransform((portrait.alpha > HALF).astype(np.uint8), cv2.DIST_L2, 3)
    own = known * (LEAST_WEIGHT + smoothstep(portrait.sample(within, texels.pixels), *RIM))
    color = _hair_and_headwear(portrait, photo, known, own, lends, texels, longest)
    mean = (color * own[..., None]).sum((0, 1)) / max(own.sum(), 1e-6)
    skin = _skin_color(portrait)
    shaven = _shaven(surface.depth, mean, skin) * (1 - known[..., None])
    color = color * (1 - shaven) + STUBBLE * skin * shaven
    # Towards the outline a pixel is a wide strip of the surface: its neighbours count as well.
    wide = portrait.sample(cv2.dilate(cover, np.ones((5, 5))), texels.pixels)
    shown = shown * square_on + wide * (1 - square_on)
    # A hairline is as the photo mixes it with the skin: taken whole, it stays soft from every side.
    shown = smoothstep(shown, 0.02, 0.4)
    # Where it is mixed with the background, the matte's guess at its own colour serves no other side.
    person = smoothstep(portrait.sample(cv2.erode(portrait.alpha, np.ones((7, 7))), texels.pixels), 0.6, 0.95)
    mixed = (square_on * texels.inside * person * (shown > 0) * trusted)[..., None]
    color = photo * mixed + color * (1 - mixed)
    # That the photo shows hair counts sooner than that it shows none.
    hidden = texels.resample(surface.hidden) * (1 - smoothstep(texels.facing, 0.05, 0.25) * texels.inside)
    alpha = np.maximum(hidden, shown * smoothstep(texels.facing, 0.12, 0.3) * texels.inside)
    # Where it is seen so steeply that a strand of the photo is a wide spike here, its end is smooth.
    steep = 1 - smoothstep(texels.facing, 0.35, 0.6)
    even = np.maximum(_opened(_closed(alpha, TUFT), TUFT), hidden)
    alpha = alpha + (even - alpha) * steep
    alpha = alpha * (1 - texels.resample(surface.bare))
    if portrait.seen_side:
        # The far side of somebody who is turned away is like the near one.
        far = np.sin(texels.azimuth)
        far = smoothstep(-far * portrait.seen_side, 0.0, 0.2)[None] * (1 - square_on * texels.inside)
        alpha = alpha + (alpha[:, ::-1] - alpha) * far
    alpha = _without_islands(alpha, ISLAND)
    return Layer(np.dstack([color, 255 * alpha]).astype(np.float32), known * (alpha > 0.5))


def paint_torso(portrait: Portrait, surface: TorsoSurface, head_covered: np.ndarray) -> Layer:
    """Shoulders, clothing and a bare chest.

    Args:
        head_covered: (S, S) bool, where the portrait shows the head and neck of the fitted model.
    """
    texels = ChartTexels(surface.chart.points(surface.radius), portrait, TORSO_BOX)
    regions = portrait.regions
    own_skin = regions[..., SKIN] * ~head_covered
    worn = regions[..., CLOTHING] + regions[..., HEADWEAR]
    here = np.stack([worn, own_skin, regions[..., BACKGROUND], regions[..., SKIN] - own_skin], -1)
    cloth, chest, nothing, neck = np.moveaxis(portrait.sample(here, texels.pixels), -1, 0)
    pure = portrait.sample(cv2.erode(1 - regions[..., BACKGROUND], np.ones((7, 7))), texels.pixels)
    # What lies behind the chin is not known.
    known = (texels.seen * smoothstep(pure, 0.5, 0.85) * (1 - smoothstep(neck, 0.2, 0.6))).astype(np.float32)
    photo = portrait.sample(portrait.color, texels.pixels)
    cloth_lends, skin_lends = (known * smoothstep(part, 0.4, 0.8) for part in (cloth, chest))
    folds = (cloth_lends > 0.8) & (texels.facing > LENDS)
    filled = _cloth(photo, cloth_lends, cloth_lends, folds, texels)
    skin = pull_push(photo, skin_lends * typical(photo, skin_lends))
    # What the outline shows goes on behind it: an open collar does not.
    turned = portrait.turned(texels.azimuth)
    aside = np.sin(turned) * portrait.seen_side if portrait.seen_side else np.abs(np.sin(turned))
    beside = 0.05 + smoothstep(aside - 2 * (np.cos(turned) < 0), 0.5, 0.9)[None]
    # Hair that lies on a chest says nothing of what is under it.
    says = (known * np.clip(cloth + chest, 0, 1)).astype(np.float32)
    cloth = cloth / np.maximum(cloth + chest, 1e-3)
    beside = says * beside
    usual = (cloth * beside).sum() / max(beside.sum(), 1e-6)
    likely = cloth * says + usual * (1 - says)
    clothed = pull_push(np.dstack([likely, likely]), np.maximum(beside, LEAST_WEIGHT))[..., :1]
    clothed = np.maximum(smoothstep(clothed, 0.35, 0.65), smoothstep(usual, 0.6, 0.9))
    # In front, hollows of a throat are what shows around them.
    front = smoothstep(np.cos(turned), 0.2, 0.5)[None]
    around = smoothstep(pull_push(np.dstack([cloth, cloth]), says)[..., :1], 0.35, 0.65)
    clothed = clothed + (around - clothed) * front[..., None]
    filled = filled * clothed + skin * (1 - clothed)
    # Bare skin is never filled with cloth, however steeply it is seen.
    bare = smoothstep(chest, 0.4, 0.8) * texels.inside * front
    known = np.maximum(known, bare).astype(np.float32)
    color = photo * known[..., None] + filled * (1 - known[..., None])
    collar = texels.along_row(surface.collar)
    hidden = np.clip((texels.row[:, None] - collar[None]) / 1.5 + 0.5, 0, 1)
    shown = np.clip(1 - nothing - neck, 0, 1)
    # That the photo shows clothing counts sooner than that it shows none.
    hidden = hidden * (1 - smoothstep(texels.facing, 0.2, 0.45) * texels.inside)
    alpha = np.maximum(hidden, shown * smoothstep(texels.facing, 0.05, 0.2) * texels.inside)
    below = texels.pixels[..., 1] >= portrait.bottom
    alpha = np.where(below, 0, alpha)
    # Beside the neck there is no chest, but for slivers of the neck's own outline.
    alpha *= 1 - smoothstep(chest + neck, 0.3, 0.6) * texels.resample(surface.at_neck) * (texels.facing > 0)
    alpha = _without_islands(smoothstep(alpha, 0.25, 0.75), ISLAND)
    alpha = 1 - _without_islands(1 - alpha, ISLAND)
    # Between what the photo shows and what lies behind its outline no crack stays.
    steep = (texels.facing < 0.5) | ~texels.inside
    closed = _closed(alpha, CRACK)
    alpha = np.where((neck < 0.2) & ~below, closed, alpha)
    alpha = _opened(alpha, THREAD)
    alpha = np.where(steep, _opened(alpha, CRACK), alpha)
    return Layer(np.dstack([color, 255 * alpha]).astype(np.float32), known)


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
    seen *= _trusted(photo, seen, np.where(ear > 0, np.minimum(facing, TRUSTED[0]), facing))
    seen *= 1 - smoothstep(aside, 0.3, 0.7) * (1 - smoothstep(facing, *TRUSTED)) * (1 - alike(photo, fill)) * (under < HALF)
    seen = np.minimum(seen, cv2.GaussianBlur(seen.astype(np.float32), (0, 0), 3) * 1.3)
    seen = np.clip(seen, 0, 1)
    skull = np.s_[:, : HEAD_BOX.width]
    seen[skull] = _without_islands(seen[skull], ISLAND)
    fill[skull] += (1 - under[skull][..., None]) * pores(photo[skull], (seen[skull] > 0.8) & (facing[skull] > LENDS))
    fill[skull] += (1 - under[skull][..., None]) * _joining(photo[skull] - fill[skull], seen[skull])
    seen = seen[..., None]
    color = photo * seen + fill * (1 - seen)
    color = _padded(color, raster.covered)
    return Layer(
        np.dstack([color, np.full(color.shape[:2], 255.0)]).astype(np.float32), seen[..., 0].astype(np.float32)
    )


def _hair_and_headwear(
    portrait: Portrait,
    photo: np.ndarray,
    known: np.ndarray,
    own: np.ndarray,
    lends: np.ndarray,
    texels: ChartTexels,
    longest: float,
) -> np.ndarray:
    """See `_continued`; as hair, as cloth, or, where the photo shows both, each where it is.

    Args:
        longest: see `_hair`.
    """
    headwear = portrait.regions[..., HEADWEAR]
    worn = headwear.sum() / max(portrait.cover.sum(), 1e-6)
    if worn > WORN:
        return _cloth(photo, known, own, lends, texels)
    if worn > 1 - WORN:
        share = portrait.sample(headwear / np.maximum(portrait.cover, 1e-3), texels.pixels)
        of_cloth = smoothstep(share, 0.4, 0.6).astype(np.float32)
        of_hair = 1 - of_cloth
        means = [
            (photo * (own * part)[..., None]).sum((0, 1)) / max((own * part).sum(), 1e-6)
            for part in (of_hair, of_cloth)
        ]
        # What is as bright as hair is hair that the parser takes for headwear, in part.
        if np.abs(means[0] - means[1]).max() > UNLIKE_HAIR:
            # Each goes on from what the photo shows of it; between them lies the border that it shows.
            hair = _hair(photo, known * of_hair, own * of_hair, lends & (of_hair > HALF), texels, longest)
            cloth = _cloth(photo, known * of_cloth, own * of_cloth, lends & (of_cloth > HALF), texels)
            border = smoothstep(_goes_round(share, own, texels, portrait), 0.35, 0.65)[:, None, None]
            return photo * known[..., None] + (hair + (cloth - hair) * border) * (1 - known[..., None])
    return _hair(photo, known, own, lends, texels, longest)


def _goes_round(share: np.ndarray, weight: np.ndarray, texels: ChartTexels, portrait: Portrait) -> np.ndarray:
    """(H,) of shares (H, W): what each row shows towards the outline; rows that show nothing take their neighbours'."""
    aside = np.abs(np.sin(portrait.turned(texels.azimuth)))
    weight = weight * (LEAST_WEIGHT + smoothstep(aside, 0.5, 0.9))
    rows = weight.sum(1)
    mean = np.where(rows > LEAST_SEEN, (share * weight).sum(1) / np.maximum(rows, 1e-6), np.nan)
    return smooth_rows(mean, ROUND)


def _hair(
    photo: np.ndarray, known: np.ndarray, colors: np.ndarray, lends: np.ndarray, texels: ChartTexels, longest: float
) -> np.ndarray:
    """See `_continued`; in locks where the photo shows enough of them, else in strands of `longest` texels at most."""
    # An earring must not be copied with the lock that it lies on.
    locks = lends & (typical(photo, known) > HALF)
    if len(patches(locks, LOCK, LOCKS_KNOWN)) > LOCKS_SHOWN:
        return _continued(photo, known, colors, locks, texels, LOCKS, partial(continue_detail, size=LOCK))
    return _continued(photo, known, colors, lends, texels, STRANDS, partial(strands, longest=max(longest, 2.0)))


def _cloth(
    photo: np.ndarray, known: np.ndarray, colors: np.ndarray, lends: np.ndarray, texels: ChartTexels
) -> np.ndarray:
    """See `_continued`; in folds."""
    return _continued(photo, known, colors, lends, texels, FOLDS, partial(continue_detail, size=FOLD))


def _continued(
    photo: np.ndarray,
    known: np.ndarray,
    colors: np.ndarray,
    lends: np.ndarray,
    texels: ChartTexels,
    kind: tuple,
    invent: Callable,
) -> np.ndarray:
    """A chart's colours (H, W, 3): the photo where it is known, else soft ones with detail like that of what lends it.

    Args:
        known, colors: (H, W) in [0, 1], where the photo is shown, and how far its colours go on elsewhere.
        lends: (H, W) bool, what detail is like.
        kind: FOLDS, STRANDS or LOCKS.
        invent: detail (H, W, 3) and what lends (H, W) to detail everywhere: `strands` or `continue_detail`.
    """
    low = pull_push(photo, (colors**2 * typical(photo, colors)).astype(np.float32))
    detail = photo - cv2.GaussianBlur(photo, (0, 0), kind[0])
    looks_up = texels.upward - (colors * texels.upward).sum() / max(colors.sum(), 1e-6)
    made = (low + kind[1] * invent(detail, lends)) * (1 + FROM_ABOVE * looks_up[..., None])
    return np.clip(photo * known[..., None] + made * (1 - known[..., None]), 0, 255)


def _shaven(depth: float, color: np.ndarray, skin: np.ndarray) -> float:
    """In [0, 1]: whether what looks like hair is the sky's light on a shaven head: a thin rim of it, coloured unlike
    grey hair, and about as bright as skin.

    Args:
        depth: see `HairSurface`. color, skin: (3,) sRGB 0..255.
    """
    thin = 1 - smoothstep(depth, *SHAVEN_DEPTH)
    light = color.mean() / max(skin.mean(), 1.0)
    as_bright = smoothstep(light, *SHAVEN_LIGHT) * (1 - smoothstep(light, *GREY_LIGHT))
    return float(thin * smoothstep(np.ptp(color) / max(color.mean(), 1.0), *SHAVEN_CHROMA) * as_bright)


def _skin_color(portrait: Portrait) -> np.ndarray:
    """(3,) the median colour of what is surely skin; mid grey where there is none."""
    skin = portrait.regions[..., SKIN] > 0.9
    return np.median(portrait.color[skin], 0) if skin.any() else np.full(3, 128.0)


def _without_islands(amount: np.ndarray, least: float) -> np.ndarray:
    """(H, W) in [0, 1] without the pieces whose area is less than this share of the largest's."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((amount > LEAST_SEEN).astype(np.uint8))
    if count < 3:
        return amount
    area = stats[:, cv2.CC_STAT_AREA].astype(float)
    area[0] = 0
    return amount * (area >= least * area.max())[labels]


def _opened(alpha: np.ndarray, width: int) -> np.ndarray:
    return _morphed(alpha, cv2.MORPH_OPEN, width)


def _closed(alpha: np.ndarray, width: int) -> np.ndarray:
    return _morphed(alpha, cv2.MORPH_CLOSE, width)


def _morphed(alpha: np.ndarray, operation: int, width: int) -> np.ndarray:
    """Of (H, W) in [0, 1], in 255 steps: as bytes it is many times as fast."""
    steps = np.rint(255 * alpha).astype(np.uint8)
    return cv2.morphologyEx(steps, operation, _disc(width)) / np.float32(255)


def _disc(width: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))


def _trusted(photo: np.ndarray, known: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1]: towards the outline, colours unlike the rest are those of what lies beside or behind."""
    steep = 1 - smoothstep(facing, *TRUSTED)
    return 1 - steep * (1 - typical(photo, known, (facing > 0) & (steep > 0)))


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


def _joining(difference: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """What takes a fill to the photo (H, W, 3) that is seen (H, W), fading out beside it: no seam shows."""
    near = cv2.GaussianBlur(difference * seen[..., None], (0, 0), SEAM)
    return near / (cv2.GaussianBlur(seen, (0, 0), SEAM)[..., None] + 0.1)


def _padded(color: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """The colours of islands carried past their edges, so that sampling beside an edge meets no void."""
    void = (~covered).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(void, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    nearest = np.zeros(labels.max() + 1, int)
    nearest[labels[covered]] = np.flatnonzero(covered)
    return color.reshape(-1, color.shape[-1])[nearest[labels]]
