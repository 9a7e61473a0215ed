"""Shoulders and clothing in the atlas."""

from __future__ import annotations

import cv2
import numpy as np

from backend.avatars.bust.atlas import (
    ISLAND,
    LEAST_WEIGHT,
    LENDS,
    TORSO_BOX,
    TRUSTED,
    ChartTexels,
    Layer,
    closed,
    in_folds,
    opened,
    without_islands,
)
from backend.avatars.bust.fill import alike, pull_push, typical
from backend.avatars.bust.portrait import BACKGROUND, CLOTHING, HEADWEAR, SKIN, Portrait
from backend.avatars.bust.torso import ABOVE, BLEND, TorsoSurface
from backend.geometry.smoothstep import smoothstep

THREAD, CRACK = 15, 41
"""Texels up to which what stands up from clothing is a thread of its outline, not a collar, and a gap at its outline is
a crack."""


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
    clad, bare = (smoothstep(part, 0.4, 0.8) for part in (cloth, chest))
    cloth_lends, skin_lends = known * clad, known * bare
    folds = (cloth_lends > 0.8) & (texels.facing > LENDS)
    filled = in_folds(photo, cloth_lends, cloth_lends, folds, texels)
    square_on = smoothstep(texels.facing, *TRUSTED)
    skin = pull_push(photo, skin_lends * typical(photo, skin_lends) * (LEAST_WEIGHT + square_on))
    # A rim of light along the outline is no skin's colour.
    rim = bare * (1 - square_on) * (1 - alike(photo, skin))
    photo = photo + (skin - photo) * rim[..., None]
    # What the outline shows goes on behind it: an open collar does not.
    turned = portrait.turned(texels.azimuth)
    aside = np.sin(turned) * portrait.seen_side if portrait.seen_side else np.abs(np.sin(turned))
    beside = 0.05 + smoothstep(aside - 2 * (np.cos(turned) < 0), 0.5, 0.9)[None]
    # Hair that lies on a chest says nothing of what is under it.
    own = cloth + chest
    says = (known * np.clip(own, 0, 1)).astype(np.float32)
    cloth = cloth / np.maximum(own, 1e-3)
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
    known = np.maximum(known, bare * texels.inside * front).astype(np.float32)
    color = photo * known[..., None] + filled * (1 - known[..., None])
    collar = texels.along_row(surface.collar)
    hidden = np.clip((texels.row[:, None] - collar[None]) / 1.5 + 0.5, 0, 1)
    # Hair hangs before what lies below a collar or a neck's end, and beside a neck before nothing.
    trunk = np.maximum(hidden, smoothstep(texels.row * surface.chart.step - ABOVE, 0.0, BLEND)[:, None])
    shown = np.clip(own + (1 - nothing - neck - own) * trunk, 0, 1)
    # That the photo shows clothing counts sooner than that it shows none.
    hidden = hidden * (1 - smoothstep(texels.facing, 0.2, 0.45) * texels.inside)
    alpha = np.maximum(hidden, shown * smoothstep(texels.facing, 0.05, 0.2) * texels.inside)
    below = texels.pixels[..., 1] >= portrait.bottom
    alpha = np.where(below, 0, alpha)
    # Beside the neck there is no chest, but for slivers of its outline, which is wider than the head model's.
    sliver = np.maximum(smoothstep(np.cos(turned), 0.7, 0.85)[None], 1 - smoothstep(texels.facing, 0.3, 0.5))
    alpha *= 1 - smoothstep(chest + neck, 0.3, 0.6) * sliver * texels.resample(surface.at_neck) * (texels.facing > 0)
    alpha = without_islands(smoothstep(alpha, 0.25, 0.75), ISLAND)
    alpha = 1 - without_islands(1 - alpha, ISLAND)
    # Between what the photo shows and what lies behind its outline no crack stays.
    steep = (texels.facing < 0.5) | ~texels.inside
    alpha = np.where((neck < 0.2) & ~below, closed(alpha, CRACK), alpha)
    alpha = opened(alpha, THREAD)
    alpha = np.where(steep, opened(alpha, CRACK), alpha)
    return Layer(np.dstack([color, 255 * alpha]).astype(np.float32), known)
