"""The torso: neck base, shoulders and what is worn on them, as a radial surface that meets the photo's outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from backend.avatars.bust.anatomy import Anatomy
from backend.avatars.bust.chart import REACH as CHART_REACH
from backend.avatars.bust.chart import RadialChart, smooth
from backend.avatars.bust.portrait import CLOTHING, SKIN, Portrait, smooth_rows
from flame import HeadModel, default_head_path, load_head_model

COLUMNS, STEP = 145, 0.003
NECK = 1
"""The joint between torso and neck."""
ABOVE = 0.1
"""Metres above the neck's lower end at which the surface begins, inside the neck."""
INSIDE = 0.8
"""Share of the neck's radius at which the surface lies where neither clothes nor a chest show."""
REACH = 0.6
TUCK = 0.006
"""Metres that a neck keeps inside its clothing."""
BLEND = 0.015
"""Metres below the neck's end over which it goes under a bare chest."""
OVER_NECK = 0.002
"""Metres that cloth keeps from the neck under it."""
CLOSE = (0.015, 0.025, 0.04), (0.0, 0.006, 0.03)
"""Metres above the neck's lower end, and metres before the neck within which bare skin is the neck's own there."""
WRAPS, RISE = (40.0, 55.0), 0.012
"""Degrees from the camera's azimuth between which a collar shows how high it is, and metres that it rises behind."""
COLLAR_TOP, HIGHER_BEHIND = 0.05, 0.008
"""Share of the columns beside a neck that show cloth above its collar, and metres that a collar rises behind."""
MAX_SHIFT, SHIFT_COST = 0.07, 0.4
"""Metres that shoulders may be higher or lower than the head model's, and what a metre counts beside misfit."""
SHOULDERS = 0.05
"""Metres above the neck's lower end over which shoulders narrow to a neck."""
CHEST_SLOPE = 0.8
"""Metres forward that a chest gains at most for each below the neck's end."""
COLLAR_GAP = 0.4, 0.012
"""Metres that a collar stands off the neck in front at most, for each above the neck's end, and at its greatest."""
SLIVER = 9
"""Pixels up to which skin beside the head model's is an inexact outline."""
DEPTH_SHARE = 0.35
"""How much of what the outline adds to the width is added to the depth as well."""


@dataclass(frozen=True)
class TorsoSurface:
    """Attributes:
    chart: the grid around the upright axis of the trunk.
    radius: (rows, columns) metres.
    collar: (columns,) row at which clothing begins where the photo does not show it.
    worn: (rows, columns) in [0, 1], where clothing lies on it.
    at_neck: (rows, columns) in [0, 1], where it lies so close to the neck that bare skin is the neck's own.
    """

    chart: RadialChart
    radius: np.ndarray
    collar: np.ndarray
    worn: np.ndarray
    at_neck: np.ndarray


def build_torso(
    portrait: Portrait,
    model: HeadModel,
    anatomy: Anatomy,
    vertices: np.ndarray,
    head_covered: np.ndarray,
    lowest: float,
) -> TorsoSurface:
    """The torso below a head with vertices (V, 3) in head space, down to the height `lowest`, metres.

    Args:
        head_covered: (S, S) bool, where the portrait shows the head and neck of the fitted model.
    """
    body, body_faces, neck_base = _template(model, anatomy, vertices)
    centre = np.array([0.5 * (body[:, 0].min() + body[:, 0].max()), neck_base + ABOVE, _axis_depth(body, neck_base)])
    rows = max(int((centre[1] - lowest) / STEP), 12)
    chart = RadialChart(centre, 0, rows, COLUMNS, STEP)
    base = chart.radius_of(body, body_faces)
    base = _rows_below(base, body, chart)
    widths = _outline(chart, portrait, head_covered)
    base = _at_shoulder_height(base, widths, chart)
    radius = _meet_outline(chart, base, widths, portrait)
    neck = _reach(chart, vertices, model.faces[anatomy.neck[model.faces].all(1)])
    skin = _reach(chart, vertices, model.faces[(anatomy.skin & ~anatomy.torso & ~anatomy.ears)[model.faces].all(1)])
    throat = np.clip((np.cos(portrait.turned(chart.azimuth)) - 0.2) / 0.3, 0, 1)[None]
    radius = radius + throat * (np.minimum(radius, _neck_limit(_column(neck))) - radius)
    collar = _collar(chart, portrait, radius)
    # Where there is cloth it lies over the neck; elsewhere the neck comes out of it.
    points = chart.points(np.maximum(radius, neck) + OVER_NECK)
    pixels = portrait.camera.project(points)
    cloth = portrait.sample(portrait.regions[..., CLOTHING], pixels) > 0.5
    # A collar hangs on the rest and goes round the neck; what shows above it beside the neck is the far side.
    cloth = _round_the_neck(ndimage.binary_opening(cloth, np.ones((9, 5))), portrait.turned(chart.azimuth))
    front = np.cos(chart.azimuth - portrait.azimuth) > 0.2
    inside = ((pixels > 0) & (pixels < portrait.size)).all(-1)
    cloth = np.where(front[None] & inside, cloth, np.arange(chart.shape[0])[:, None] >= collar[None])
    under = np.where(skin > 0, np.minimum(radius, skin - OVER_NECK), radius)
    # The slopes from neck to shoulders are the torso's, bare or not; a throat is the neck's.
    under = throat * under + (1 - throat) * radius
    share = smooth(cloth.astype(float), 1.0)
    radius = share * np.maximum(radius, neck + OVER_NECK) + (1 - share) * under
    hull = portrait.hull(portrait.alpha > 0.5, *chart.rays(), REACH)
    # A little too wide, then cut by the outline: so the surface reaches it everywhere.
    radius = np.minimum(ndimage.grey_dilation(smooth(radius, 0.6), (5, 3)), np.maximum(hull, 0.5 * radius))
    above_end = ABOVE - np.arange(chart.shape[0])[:, None] * chart.step
    stands_off = np.where(neck > 0, radius - neck, np.inf)
    at_neck = smooth((stands_off < np.interp(above_end, *CLOSE)).astype(float), 0.7)
    return TorsoSurface(chart, radius, collar, np.clip(2 * share - 1, 0, 1), at_neck)


def _round_the_neck(cloth: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """What a photo shows as cloth (rows, columns), without what lies much higher than the collar in front of it.

    Args:
        turned: (columns,) radians from the camera's azimuth.
    """
    degrees, rows = np.degrees(turned), np.arange(len(cloth))[:, None]
    allowed = np.ones(cloth.shape, bool)
    for sign in (-1, 1):
        before = cloth[:, (degrees * sign > WRAPS[0]) & (degrees * sign < WRAPS[1])].any(1)
        top = before.argmax() if before.any() else len(cloth)
        allowed &= (rows >= top - int(RISE / STEP)) | (degrees * sign < WRAPS[1])[None]
    return cloth & allowed


def _column(neck: np.ndarray) -> np.ndarray:
    """Radii (rows, columns) of a neck, 0 for none, that widen no more from where they are narrowest on upwards: what
    shows beside a jaw lies behind it."""
    known = np.where(neck > 0, neck, np.inf)
    narrowest = np.minimum.accumulate(known[::-1])[::-1]
    return np.where(np.isfinite(narrowest), narrowest, 0)


def _neck_limit(skin: np.ndarray) -> np.ndarray:
    """(rows, columns) metres that a collar and a chest reach at most around and below a neck whose radii (rows,
    columns) are given, 0 for none: a collar goes round the neck, and a chest forward from the neck's end on."""
    rows = np.arange(len(skin))[:, None]
    last = np.where(skin > 0, rows, -1).max(0)
    end = np.take_along_axis(skin, np.maximum(last, 0)[None], 0)
    chest = end + CHEST_SLOPE * STEP * (rows - last)
    collar = skin + np.minimum(COLLAR_GAP[0] * STEP * (last - rows), COLLAR_GAP[1])
    reach = np.where(rows > last, chest, np.where(skin > 0, collar, np.inf))
    return np.where(last >= 0, OVER_NECK + reach, np.inf)


def _reach(chart: RadialChart, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(rows, columns) metres to the last hit of each ray with a mesh, 0 for none."""
    raster, _ = chart.draw(vertices, faces)
    return np.where(raster.covered, CHART_REACH - raster.depth, 0.0)


def tuck_neck(vertices: np.ndarray, surface: TorsoSurface) -> np.ndarray:
    """Points (n, 3) of a head with those below the collar drawn inside the torso."""
    column, row, radius = surface.chart.coordinates(vertices)
    at = [np.clip(row, 0, surface.chart.shape[0] - 1), column]
    outside = ndimage.map_coordinates(surface.radius, at, order=1, mode="nearest")
    worn = ndimage.map_coordinates(surface.worn, at, order=1, mode="nearest") * (row > 0)
    # Below its own end the neck lies inside, bare or not.
    worn = np.maximum(worn, np.clip((row * surface.chart.step - ABOVE) / BLEND, 0, 1))
    inner = np.minimum(radius, outside - TUCK) / np.maximum(radius, 1e-6)
    factor = 1 + worn * (inner - 1)
    axis = surface.chart.centre[[0, 2]]
    moved = vertices.copy()
    moved[:, [0, 2]] = axis + factor[:, None] * (vertices[:, [0, 2]] - axis)
    return moved


def _template(model: HeadModel, anatomy: Anatomy, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """A torso for this head: its own where the head model has one, else the open head's, moved to its neck.

    Returns:
        Vertices (n, 3), faces (F, 3) and the height of the neck's lower end.
    """
    if "torso" in model.regions:
        member = anatomy.torso | anatomy.neck
        return vertices, model.faces[member[model.faces].all(1)], float(vertices[anatomy.neck, 1].min())
    other = load_head_model(default_head_path())
    body = other.v_template + model.rest_joints(vertices)[NECK] - other.rest_joints(other.v_template)[NECK]
    own = Anatomy.of(other)
    return body, other.faces[own.torso[other.faces].all(1)], float(body[own.neck, 1].min())


def _axis_depth(body: np.ndarray, neck_base: float) -> float:
    ring = body[np.abs(body[:, 1] - neck_base) < 0.03]
    return float((ring[:, 2].min() + ring[:, 2].max()) / 2)


def _rows_below(base: np.ndarray, body: np.ndarray, chart: RadialChart) -> np.ndarray:
    """The template ends above the photo's lower edge, and has holes for arms: from the shoulders down it stays."""
    end = int(np.clip((chart.centre[1] - np.quantile(body[:, 1], 0.12)) / chart.step, 4, len(base) - 1))
    base = smooth(base, 1.5)
    base = np.maximum.accumulate(base[: end + 1], 0)
    rest = np.repeat(base[-1:], chart.shape[0] - len(base), 0)
    return np.concatenate([base, rest])


def _bare(portrait: Portrait, head_covered: np.ndarray) -> np.ndarray:
    """(S, S) bool: skin that is not the head model's, without slivers along its outline."""
    chest = (portrait.regions[..., SKIN] > 0.5) & ~head_covered
    return ndimage.binary_opening(chest, np.ones((SLIVER, SLIVER)))


def _outline(chart: RadialChart, portrait: Portrait, head_covered: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For the right side and the left: cosines (columns,) to it, and the person's reach there (rows,), metres."""
    origins, directions = chart.rays()
    chest = _bare(portrait, ndimage.binary_dilation(head_covered, iterations=3))
    person = (portrait.alpha > 0.5) & (portrait.regions[..., CLOTHING] + chest > 0.4)
    turned = portrait.turned(chart.azimuth)
    found = []
    for sign in (-1, 1):
        column = portrait.side_column(chart.azimuth, sign)
        far = portrait.outline(person, origins[:, column], directions[:, column], REACH)
        found.append((np.sin(turned) * sign, np.where(_since_first(far), np.fmax(smooth_rows(far, 0.8), far), np.nan)))
    return found


def _since_first(far: np.ndarray) -> np.ndarray:
    """(rows,) bool: from the first of three rows in a row that are known."""
    known = ~np.isnan(far)
    run = known & np.roll(known, -1) & np.roll(known, -2)
    return np.arange(len(far)) >= (run.argmax() if run.any() else len(far))


def _at_shoulder_height(base: np.ndarray, widths: list, chart: RadialChart) -> np.ndarray:
    """The template moved up or down to where its shoulders are as wide as the person's."""
    rows = np.arange(len(base))
    best, least = 0, np.inf
    for shift in range(-int(MAX_SHIFT / chart.step), int(MAX_SHIFT / chart.step) + 1):
        moved = base[np.clip(rows - shift, 0, len(base) - 1)]
        misfit = SHIFT_COST * abs(shift * chart.step)
        for cosine, far in widths:
            known = ~np.isnan(far)
            if known.any():
                misfit += np.mean(np.log(far[known] / moved[known, int(np.argmax(cosine))]) ** 2)
        if misfit < least:
            best, least = shift, misfit
    return base[np.clip(rows - best, 0, len(base) - 1)]


def _meet_outline(chart: RadialChart, base: np.ndarray, widths: list, portrait: Portrait) -> np.ndarray:
    """The template widened or narrowed row by row, so that its sides meet the person's outline."""
    grown, turned = [], portrait.turned(chart.azimuth)
    for cosine, far in widths:
        ratio = far / base[:, int(np.argmax(cosine))]
        grown.append(np.where(np.isnan(ratio), INSIDE, np.clip(ratio, 0.4, 2.5)))
    # The far side of somebody who is turned away tells nothing of the shoulder behind it.
    if portrait.seen_side:
        grown = [grown[int(portrait.seen_side > 0)]] * 2
    middle = np.clip(1 + DEPTH_SHARE * (np.mean(grown, 0) - 1), 0.92, 1.15)
    # Beside the neck the outline is that of the shoulders' far side, which leaves the front of the neck free.
    height = np.clip((ABOVE - np.arange(len(base)) * chart.step) / SHOULDERS, 0, 1)[:, None]
    power = 1.5 + height * np.where(np.cos(turned) > 0, 8, 1)[None]
    shares = [np.clip(cosine, 0, 1)[None] ** power for cosine, _ in widths]
    factor = sum(share * ratio[:, None] for share, ratio in zip(shares, grown, strict=True))
    return smooth(base * (factor + (1 - sum(shares)) * middle[:, None]), 0.7)


def _collar(chart: RadialChart, portrait: Portrait, radius: np.ndarray) -> np.ndarray:
    """(columns,) row where clothing begins: as high as the photo shows at both sides of the neck, rising a little round
    the back; in front below the throat."""
    pixels = portrait.camera.project(chart.points(radius))
    cloth = portrait.sample(portrait.regions[..., CLOTHING], pixels) > 0.5
    turned = portrait.turned(chart.azimuth)
    tops = []
    for sign in (-1, 1):
        beside = (np.degrees(turned * sign) > 40) & (np.degrees(turned * sign) < 95)
        first = np.where(cloth[:, beside].any(0), cloth[:, beside].argmax(0), np.nan)
        tops.append(np.nanquantile(first, COLLAR_TOP) if np.isfinite(first).any() else np.nan)
    known = [t for t in tops if np.isfinite(t)]
    fallback = float(np.mean(known)) if known else float(ABOVE / chart.step)
    left_right = [t if np.isfinite(t) else fallback for t in tops]
    right = 0.5 + 0.5 * np.sin(turned)
    collar = (1 - right) * left_right[0] + right * left_right[1]
    before = np.clip((WRAPS[1] - np.degrees(np.abs(turned))) / (WRAPS[1] - WRAPS[0]), 0, 1)
    collar = collar - HIGHER_BEHIND / chart.step * np.clip(-np.cos(turned), 0, 1)
    return collar + before * np.maximum((ABOVE + BLEND) / chart.step - collar, 0)
