"""Hair and headwear in the atlas."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from backend.avatars.bust.atlas import (
    HAIR_BOX,
    HALF,
    ISLAND,
    LEAST_SEEN,
    LEAST_WEIGHT,
    LENDS,
    ChartTexels,
    Layer,
    closed,
    continued,
    in_folds,
    opened,
    trust,
    without_islands,
)
from backend.avatars.bust.fill import continue_detail, drawn_noise, patches, strands, typical
from backend.avatars.bust.hair import HairSurface
from backend.avatars.bust.portrait import HEADWEAR, SKIN, Portrait, smooth_rows
from backend.geometry.smoothstep import smoothstep

SEEN_HAIR = (0.2, 0.55)
"""As SEEN, for hair: what lies in the shadow between hair and cheek is no colour for its side."""
STRANDS, LOCKS = (12.0, 0.8), (20.0, 0.8)
"""As FOLDS, for strands and locks of hair."""
LOCK, LOCKS_KNOWN, LOCKS_SHOWN = (160, 80), 0.9, 400
"""Texels of the patches that locks are taken from; how much of one is known, and how many patches of them a photo shows
that shows enough to go on with."""
STRANDS_PER_DEPTH = 1000.0
"""Texels of Gaussian along strands for each metre that hair stands off the skull."""
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
FRAY_SOFT = 7.0
LONG_FRAY, SHORT_FRAY = (0.15, 0.28, 14.0, 0.8, 3.0), (0.16, 0.15, 4.0, 0.6, 1.8)
"""Texels of blur of a made-up edge of hair; how far strands stand out of it or into it, as alpha, from which alpha on
they are solid, texels of Gaussian along them, and of the two across between which their widths lie."""
TUFT = 51
"""Texels up to which what stands out of hair, or into it, is a strand of the photo."""
RIM = (1.5, 8.0)
"""Pixels from the person's outline between which hair's colour goes from the light's around it to its own."""


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
    trusted = trust(photo, known, texels.facing)
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
    # Through cropped hair the scalp shows.
    color = color + (1 - surface.density) * (1 - known[..., None]) * (STUBBLE * skin - color)
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
    even = np.maximum(opened(closed(alpha, TUFT), TUFT), hidden)
    alpha = alpha + (even - alpha) * steep
    alpha = alpha * (1 - texels.resample(surface.bare))
    if _worn(portrait) < HALF:
        long = texels.along_row(surface.long)[None]
        ends = frayed(alpha, *LONG_FRAY) * long + frayed(alpha, *SHORT_FRAY) * (1 - long)
        alpha = alpha + (ends - alpha) * steep
    if portrait.seen_side:
        # The far side of somebody who is turned away is like the near one.
        far = np.sin(texels.azimuth)
        far = smoothstep(-far * portrait.seen_side, 0.0, 0.2)[None] * (1 - square_on * texels.inside)
        alpha = alpha + (alpha[:, ::-1] - alpha) * far
    alpha = without_islands(alpha, ISLAND)
    return Layer(np.dstack([color, 255 * alpha]).astype(np.float32), known * (alpha > 0.5))


def frayed(alpha: np.ndarray, amount: float, hardness: float, length: float, fine: float, coarse: float) -> np.ndarray:
    """Alpha (H, W) whose edges are the ends of strands; see LONG_FRAY."""
    noise = drawn_noise(np.random.default_rng(0), (len(alpha), alpha.shape[1]), length, fine, coarse)
    soft = cv2.GaussianBlur(alpha.astype(np.float32), (0, 0), FRAY_SOFT)
    return smoothstep(soft + amount * noise / noise.std() * 4 * soft * (1 - soft), hardness, 1 - hardness)


def _worn(portrait: Portrait) -> float:
    """The share of headwear in what covers a head."""
    return float(portrait.regions[..., HEADWEAR].sum() / max(portrait.cover.sum(), 1e-6))


def _hair_and_headwear(
    portrait: Portrait,
    photo: np.ndarray,
    known: np.ndarray,
    own: np.ndarray,
    lends: np.ndarray,
    texels: ChartTexels,
    longest: float,
) -> np.ndarray:
    """See `continued`; as hair, as cloth, or, where the photo shows both, each where it is.

    Args:
        longest: see `_hair`.
    """
    headwear, worn = portrait.regions[..., HEADWEAR], _worn(portrait)
    if worn > WORN:
        return in_folds(photo, known, own, lends, texels)
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
            cloth = in_folds(photo, known * of_cloth, own * of_cloth, lends & (of_cloth > HALF), texels)
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
    """See `continued`; in locks where the photo shows enough of them, else in strands of `longest` texels at most."""
    # An earring must not be copied with the lock that it lies on.
    locks = lends & (typical(photo, known) > HALF)
    if len(patches(locks, LOCK, LOCKS_KNOWN)) > LOCKS_SHOWN:
        return continued(photo, known, colors, locks, texels, LOCKS, partial(continue_detail, size=LOCK))
    return continued(photo, known, colors, lends, texels, STRANDS, partial(strands, longest=max(longest, 2.0)))


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
