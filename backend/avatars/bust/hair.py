"""Hair and headwear: a radial surface over the skull, as thick as the photo's outline says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import factorized

from backend.avatars.bust.anatomy import Anatomy
from backend.avatars.bust.chart import REACH as CHART_REACH
from backend.avatars.bust.chart import RadialChart, round_pole, smooth
from backend.avatars.bust.portrait import SKIN, Portrait, smooth_rows
from backend.geometry.smoothstep import smoothstep

CAP_ROWS, COLUMNS, STEP = 36, 145, 0.005
ABOVE_EARS = 0.006
"""Metres above the ears at which the middle of the skull lies."""
LEAST = 0.0015
"""Metres of hair that anything which is hair has."""
EDGE = 0.0025
"""Metres of hair at a hairline."""
UNDER = 0.008
"""Metres that hair lies under a face it is behind."""
BEFORE_EAR = np.radians(15)
"""Radians before an ear at which a face ends."""
STEEP, FRONT, RAGGED = (0.5, 0.8), np.radians(55), 9
"""Cosines to the photo's ray between which a skull is seen steeply; the azimuth from the camera's up to which what it
shows is the head's front; and rows over which strands of hair lie across a face's outline."""
BEHIND_OUTLINE = 3
"""Columns behind the outline that are as thick as it is."""
AT_OUTLINE, AT_SKIN = 5.0, 0.1
"""What thickness at the outline and hair's beginning count in a squared metre of misfit."""
STIFFNESS = 0.05
"""What a squared Laplacian of the thickness counts beside a squared metre of misfit."""
OVER_EAR = 0.004
COVERED, BESIDE_EAR = 0.55, 0.25
"""Share of an ear over which hair must lie to hide it, and how far hair at the outline beside it counts for that."""
BEHIND_EAR = 95.0
"""Degrees from the camera's azimuth to an ear, where a head shows none."""
SIDEBURN, SIDEBURN_EDGE = (2.0, 0.4), 10.0
"""Degrees before an ear at which a sideburn begins, and heights of the ear that it goes down; degrees over which its
front falls."""
TUCK, ROOT = 0.012, 1.5
"""Metres that hair lies under the skin where a bare ear stands on it, and the rows over which it gets there: hair ends
at the ear's root."""
REACH = 0.45
DENSE, SPARSE = 0.03, 0.4
"""Depth of hair as above from which on no scalp shows through it, and how much of cropped hair does at least."""
TAPER = 4.0
"""Rows over which short hair becomes shorter towards bare skin."""
TAPER_HEIGHT, TAPER_OF_THICK = (0.45, 1.4), 0.022
"""Heights of an ear over which it becomes shorter towards the nape, and those for a metre of thickness."""
NAPE, NECK, FADE = 0.35, np.radians(80), 6.0
"""Heights of an ear by which hair grows below it on the neck, within so many radians of its middle, and the rows over
which it grows sparse there."""
INSIDE = 0.75
"""Share of the skull's radius below which what is found of hair in a row is not its outline."""
CROWN, CROWN_WEIGHT = 13, 0.05
"""Rows among which the least room under the outline counts for a crown, and what that counts beside what is known."""
PRESENT = 0.012
"""Depth of hair in the photo, as a share of the crop's side, below which it is but a rim on a bald head."""


@dataclass(frozen=True)
class HairSurface:
    """Attributes:
    chart: the grid around the skull.
    skull: (rows, columns) metres, the radius of the bare head.
    radius: (rows, columns) metres, of the hair.
    tucked: (rows, columns) metres, the same, but under the skin where a bare ear stands on it.
    hidden: (rows, columns) in [0, 1]: how far hair covers what the photo does not show.
    bare: (rows, columns) in [0, 1]: the sides of a face, which hair in the photo lies behind.
    depth: of the hair in the photo: its greatest distance to what is none, as a share of the crop's side.
    density: in [0, 1], below 1 where scalp shows through cropped hair.
    long: (columns,) in [0, 1], whether hair goes on below the ears.
    """

    chart: RadialChart
    skull: np.ndarray
    radius: np.ndarray
    tucked: np.ndarray
    hidden: np.ndarray
    bare: np.ndarray
    depth: float
    density: float
    long: np.ndarray


def head_chart(anatomy: Anatomy, vertices: np.ndarray, lowest: float) -> RadialChart:
    """The chart around a fitted head (V, 3), down to the height `lowest`, metres."""
    ears, scalp = vertices[anatomy.ears], vertices[anatomy.scalp]
    middle = (scalp[:, 2].min() + ears[:, 2].mean() + 0.03) / 2
    centre = np.array([ears[:, 0].mean(), ears[:, 1].max() + ABOVE_EARS, middle])
    return RadialChart(centre, CAP_ROWS, max(int((centre[1] - lowest) / STEP), 20), COLUMNS, STEP)


def skull_faces(anatomy: Anatomy, faces: np.ndarray) -> np.ndarray:
    """The faces (F', 3) of skull, face and neck."""
    return _without(faces, ~anatomy.skin | anatomy.torso | anatomy.ears)


def skull_radius(chart: RadialChart, anatomy: Anatomy, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(rows, columns) metres: a head (V, 3) with faces (F, 3) without its ears."""
    return smooth(chart.radius_of(vertices, skull_faces(anatomy, faces)), 1.0)


def build_hair(
    portrait: Portrait, anatomy: Anatomy, vertices: np.ndarray, faces: np.ndarray, lowest: float
) -> HairSurface | None:
    """The hair of a head with vertices (V, 3) in head space and faces (F, 3), or None for a bald one.

    Args:
        lowest: height in head space at which the photo ends, metres.
    """
    chart = head_chart(anatomy, vertices, lowest)
    skull = skull_radius(chart, anatomy, vertices, faces)
    sides = [_Side(chart, portrait, anatomy, vertices, faces, skull, sign) for sign in (-1, 1)]
    _lend(chart, portrait, *sides)
    deepest = ndimage.distance_transform_edt(portrait.cover > 0.5).max() / portrait.size
    if deepest < PRESENT or not any(side.covered.any() for side in sides):
        return None
    limit = _hull_limit(chart, portrait, skull)
    grown = chart.covered_by(vertices, skull_faces(anatomy, faces), anatomy.scalp)
    bare = _Bare.of(chart, portrait, skull, grown, sides)
    radius = _radius(chart, portrait, skull, sides, bare, limit)
    radius = _inside_hull(chart, portrait, skull, radius, limit, bare.least)
    nape = _Nape.of(chart, grown, sides)
    scalp = np.maximum(np.clip(smooth(grown.astype(float), 1.5) * 1.6 - 0.2, 0, 1), nape.grows)
    # Cropped hair lies close.
    dense = np.clip(deepest / DENSE, SPARSE, 1)
    hidden = _hidden(chart, portrait, scalp, radius, sides, bare)
    radius = skull + (radius - skull) * (1 - (1 - dense) * _behind(chart, portrait))
    # Towards its lower end hair that does not hang becomes shorter.
    inner = np.clip(2 * smooth(scalp, TAPER) - 1, 0, 1) * (np.abs(scalp - hidden) < 0.5)
    hanging = smooth(np.clip(hidden - scalp, 0, 1), 3.0) > 0.02
    inner = np.minimum(inner, np.maximum(nape.length(np.median(radius - skull)), hanging.any(0)))
    taper = np.where(hanging | (np.cos(chart.azimuth - portrait.azimuth) > 0.2)[None], 1.0, inner)
    radius = skull + np.maximum((radius - skull) * smooth(taper, 1.5), bare.least)
    for side in sides:
        if side.ear_covered:
            radius = np.where(side.half, np.maximum(radius, side.ear_radius + OVER_EAR), radius)
    radius = skull + round_pole(smooth(radius - skull, 0.8))
    bare_ears = np.any([side.ear_mask & (not side.ear_covered) for side in sides], 0)
    root = smoothstep(smooth(ndimage.binary_dilation(bare_ears).astype(float), ROOT), 0.3, 0.7)
    tucked = radius - np.maximum(radius - skull + TUCK, 0) * root
    return HairSurface(
        chart,
        skull,
        radius,
        tucked,
        hidden,
        smooth(bare.beside, 0.7),
        float(deepest),
        float(dense),
        _long(chart, sides),
    )


class _Side:
    """What the outline tells of one side of the head.

    Attributes:
        sign: 1 for the person's left, -1. half: (rows, columns) bool, this side of the chart.
        column: where the outline lies.
        covered: (rows,) bool, where the outline is hair's. thickness: (rows,) metres over the skull there.
        last: the lowest row of the hair that hangs together from above, -1 for none.
        mirrored_from: the other side where this one is its mirror image.
        ear_covered: whether hair hides the ear. ear_mask: (rows, columns) bool, ear_rows: the first and the last of
            them, ear_radius: (rows, columns) metres, how far out it stands, ear_azimuth: degrees from the camera's,
            ear_front: radians, where the face before it ends.
    """

    def __init__(self, chart, portrait, anatomy, vertices, faces, skull, sign):
        turned = portrait.turned(chart.azimuth)
        self.sign = sign
        self.mirrored_from: _Side | None = None
        self.half = np.broadcast_to((turned * sign > 0)[None], chart.shape)
        self.column = portrait.side_column(chart.azimuth, sign)
        origins, directions = chart.rays()
        far = portrait.outline(portrait.cover > 0.5, origins[:, self.column], directions[:, self.column], REACH)
        bare = skull[:, self.column]
        thickness = np.where(far > INSIDE * bare, far - bare, np.nan)
        self.covered = ~np.isnan(thickness)
        self.thickness = np.maximum(thickness, LEAST)
        self.last = _last_of_run(self.covered)
        ear = anatomy.ear_left if sign > 0 else anatomy.ear_right
        self.ear_mask = chart.covered_by(vertices, _without(faces, anatomy.torso), ear)
        row = chart.coordinates(vertices[ear])[1]
        self.ear_rows = (float(row.min()), float(row.max()))
        # Where the outline beside it is all hair, a fitted ear that shows in part lies too far in.
        cover = portrait.sample(portrait.cover, portrait.camera.project(vertices[ear])).mean()
        beside = self.covered[int(row.min()) : int(row.max()) + 1].mean()
        self.ear_covered = bool(cover + BESIDE_EAR * beside > COVERED)
        columns = np.flatnonzero(self.ear_mask.any(0))
        self.ear_front = float(np.abs(turned[columns]).min() - BEFORE_EAR) if len(columns) else np.pi / 2
        self.ear_azimuth = float(np.degrees(np.abs(turned[columns])).mean()) if len(columns) else BEHIND_EAR
        raster, _ = chart.draw(vertices, faces[ear[faces].any(1)])
        self.ear_radius = ndimage.grey_dilation(np.where(raster.covered, CHART_REACH - raster.depth, 0.0), (5, 3))


def _lend(chart: RadialChart, portrait: Portrait, right: _Side, left: _Side) -> None:
    """Of a head that is turned away, the outline on one side is a cheek: there, what the other side shows is taken."""
    if not portrait.seen_side:
        return
    seen, unseen = (left, right) if portrait.seen_side > 0 else (right, left)
    unseen.column = (chart.columns - 1) - seen.column
    unseen.covered, unseen.thickness, unseen.last = seen.covered, seen.thickness, seen.last
    unseen.ear_covered, unseen.mirrored_from = seen.ear_covered, seen


def _last_of_run(covered: np.ndarray) -> int:
    """The last of the rows that hang together from the first covered one on; gaps of a few rows are bridged."""
    closed = ndimage.binary_closing(np.pad(covered, 4, mode="edge"), iterations=3)[4:-4]
    if not closed.any():
        return -1
    start = int(closed.argmax())
    ends = np.flatnonzero(~closed[start:])
    return start + int(ends[0]) - 1 if len(ends) else len(closed) - 1


@dataclass(frozen=True)
class _Nape:
    """The hairline on the neck, which a head model's scalp ends above.

    Attributes:
        grows: (rows, columns) in [0, 1], where hair is.
        above: (rows, columns) heights of an ear above the hairline; inf before the ears.
    """

    grows: np.ndarray
    above: np.ndarray

    @classmethod
    def of(cls, chart: RadialChart, scalp: np.ndarray, sides: list[_Side]) -> _Nape:
        """`scalp` (rows, columns) bool, the head model's own."""
        rows = np.arange(chart.shape[0])[:, None]
        first, last = np.mean([side.ear_rows for side in sides], 0)
        height = last - first
        off_middle = np.abs(np.abs(chart.azimuth) - np.pi)
        frayed = _frayed(chart.columns, seed=1)
        low = np.where(scalp.any(0), chart.shape[0] - 1 - scalp[::-1].argmax(0), 0)
        reaches = smoothstep(off_middle, NECK, 0.35 * NECK)
        end = np.maximum(low, last + NAPE * height) * reaches + low * (1 - reaches) + frayed
        grows = np.clip((end - rows) / FADE + 0.5, 0, 1) * reaches * (rows >= low - 1)
        return cls(grows, np.where(off_middle < np.pi / 2, (end - rows) / height, np.inf))

    def length(self, thickness: float) -> np.ndarray:
        """(rows, columns) in [0, 1], how long hair is there; what is this thick, metres, above it stands off to the end
        sooner than it becomes shorter."""
        return np.clip(self.above / np.clip(TAPER_OF_THICK / thickness, *TAPER_HEIGHT), 0, 1)


@dataclass(frozen=True)
class _Bare:
    """Where the photo shows skin.

    Attributes:
        shown: (rows, columns) bool. beside: (rows, columns) in [0, 1], of that the sides of the face.
        edge: (rows, columns) metres over the skull at which hair begins there. least: the same for all hair.
    """

    shown: np.ndarray
    beside: np.ndarray
    edge: np.ndarray
    least: np.ndarray

    @classmethod
    def of(
        cls, chart: RadialChart, portrait: Portrait, skull: np.ndarray, scalp: np.ndarray, sides: list[_Side]
    ) -> _Bare:
        points = chart.points(skull)
        normals = chart.normals(points)
        facing = portrait.facing(points, normals)
        # Where it is seen steeply, hair a little beside a face would lie centimetres forward on it.
        steep = np.clip((STEEP[1] - facing) / (STEEP[1] - STEEP[0]), 0, 1) * (facing > 0) * ~scalp
        pixels = portrait.camera.project(points + (EDGE * (1 - steep))[..., None] * normals)
        skin = portrait.sample(portrait.regions[..., SKIN], pixels) > 0.5
        beside = np.abs(portrait.turned(chart.azimuth))[None]
        shown = skin & (beside < FRONT)
        for side in sides:
            if side.ear_covered:
                face = side.half & (steep > 0) & (beside < side.ear_front)
                ends = np.where(face & skin, beside, 0).max(1)
                ends = ndimage.gaussian_filter1d(ndimage.grey_closing(ends, RAGGED), 1.0)
                shown |= face & (beside <= ends[:, None])
            steep = np.where(side.half & (beside >= (side.ear_front if side.ear_covered else 0)), 0, steep)
        edge = EDGE * (1 - steep) - UNDER * steep
        return cls(shown, shown * steep, edge, np.where(shown, np.minimum(edge, LEAST), LEAST))


def _radius(
    chart: RadialChart, portrait: Portrait, skull: np.ndarray, sides: list[_Side], bare: _Bare, limit: np.ndarray
) -> np.ndarray:
    """(rows, columns): the smoothest surface over the skull that meets the outline of both sides and the hairline.

    Args:
        limit: (rows, columns) metres, see `_hull_limit`.
    """
    rows, columns = chart.shape
    period = columns - 1
    goal, weight = np.zeros((rows, period)), np.zeros((rows, period))
    # From the lowest row on the right over the pole to the lowest on the left, the outline is one curve.
    known = [side.covered & (np.arange(rows) <= side.last) for side in sides]
    right, left = (np.where(k, side.thickness, np.nan) for k, side in zip(known, sides, strict=True))
    curve = smooth_rows(np.concatenate([right[::-1], left]), 1.0)
    for side, k, values in zip(sides, known, (curve[:rows][::-1], curve[rows:]), strict=True):
        # From the outline on backwards, so that the surface reaches it however far forward it lies close to the skin.
        for behind in range(BEHIND_OUTLINE):
            column = (side.column + side.sign * behind) % period
            goal[k, column], weight[k, column] = values[k], AT_OUTLINE
    # Where the photo shows skin there is no hair; at the hairline hair begins on the skin.
    shows_skin = bare.shown[:, :period]
    goal[shows_skin], weight[shows_skin] = bare.edge[:, :period][shows_skin], np.maximum(weight[shows_skin], AT_SKIN)
    prior = np.nanmedian([np.nanmedian(s.thickness[: s.last + 1]) if s.last >= 0 else np.nan for s in sides])
    weak = weight == 0
    goal[weak], weight[weak] = min(prior, 0.03), 2e-4
    thickness = _thin_plate_coarse(goal, weight)
    # A crown that is only cut where the outline allows no more is flat; it is round where it meets it in one place.
    room = (limit - skull)[:, :period]
    over = weak & (thickness > room) & (np.arange(rows) <= chart.cap_rows)[:, None]
    if over.any():
        along = np.abs(np.cos(portrait.turned(chart.azimuth[:period]))) > 0.6
        goal[over] = np.where(along, ndimage.minimum_filter1d(room, CROWN, axis=0, mode="nearest"), room)[over]
        weight[over] = CROWN_WEIGHT
        thickness = _thin_plate_coarse(goal, weight)
    thickness = np.concatenate([thickness, thickness[:, :1]], 1)
    radius = skull + np.maximum(thickness, bare.least)
    # Long hair hangs from the occiput; short hair follows the nape.
    hangs = (np.clip((-np.cos(chart.azimuth) - 0.1) / 0.6, 0, 1) * _long(chart, sides))[None]
    level = radius[chart.cap_rows]
    below = np.arange(rows)[:, None] > chart.cap_rows
    hanging = np.maximum(radius, level[None] * 0.97 * hangs + radius * (1 - hangs))
    return smooth(np.where(below, hanging, radius), 0.7)


def _long(chart: RadialChart, sides: list[_Side]) -> np.ndarray:
    """(columns,) in [0, 1]: whether hair goes on below the ears."""
    right, left = (np.clip((side.last - side.ear_rows[1]) / 6, 0, 1) for side in sides)
    share = 0.5 + 0.5 * np.sin(chart.azimuth)
    return (1 - share) * right + share * left


def _hull_limit(chart: RadialChart, portrait: Portrait, skull: np.ndarray) -> np.ndarray:
    """(rows, columns) metres, the largest radii that the portrait's outline allows; inf where it does not tell."""
    person = portrait.cover + portrait.regions[..., SKIN] > 0.5
    return np.maximum(portrait.hull(person, *chart.rays(), REACH), skull + LEAST)


def _inside_hull(
    chart: RadialChart,
    portrait: Portrait,
    skull: np.ndarray,
    radius: np.ndarray,
    limit: np.ndarray,
    least: np.ndarray,
) -> np.ndarray:
    """Radii (rows, columns), smoothed, no larger than their limit; all (rows, columns), `least` over the skull."""
    radius = round_pole(np.minimum(radius, limit))
    calm = _behind(chart, portrait)
    radius = np.maximum(calm * smooth(radius, 3.0) + (1 - calm) * smooth(radius, 1.2), skull + least)
    # A little too wide, then cut by the outline: so the surface reaches it everywhere.
    return np.minimum(ndimage.grey_dilation(radius, (3, 3)), limit)


def _behind(chart: RadialChart, portrait: Portrait) -> np.ndarray:
    """(1, columns) in [0, 1]: how far an azimuth is turned away from the camera."""
    return np.clip(0.2 - 2 * np.cos(chart.azimuth - portrait.azimuth), 0, 1)[None]


def _thin_plate_coarse(goal: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`thin_plate` on every second row and column, and linear between."""
    rows, period = goal.shape
    pad = rows % 2
    blocks = [
        np.pad(a, ((0, pad), (0, 0)), mode="edge").reshape((rows + pad) // 2, 2, period // 2, 2)
        for a in (goal * weight, weight)
    ]
    total, weights = (block.sum((1, 3)) for block in blocks)
    coarse = thin_plate(total / np.maximum(weights, 1e-12), weights)
    wide = np.concatenate([coarse[:, -1:], coarse, coarse[:, :1]], 1)
    y, x = (np.arange(n) / 2 - 0.25 for n in (rows, period))
    return ndimage.map_coordinates(wide, np.meshgrid(y, x + 1, indexing="ij"), order=1, mode="nearest")


def thin_plate(goal: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The grid (rows, period) with least squared Laplacian that follows `goal` by `weight`; periodic in columns."""
    rows, period = goal.shape
    vertical = sparse.diags([1.0, -2.0, 1.0], [-1, 0, 1], (rows, rows), format="lil")
    vertical[0, 0] = vertical[-1, -1] = -1
    around = sparse.diags([1.0, -2.0, 1.0], [-1, 0, 1], (period, period), format="lil")
    around[0, -1] = around[-1, 0] = 1
    # Around the pole the columns draw together.
    polar = np.clip((np.arange(rows) + 0.5) / (CAP_ROWS / 2), 0, 1) * np.pi / 2
    nearer = sparse.diags(np.minimum(1 / np.sin(polar) ** 2, 100))
    laplacian = sparse.kron(vertical, sparse.identity(period)) + sparse.kron(nearer, around)
    system = STIFFNESS * laplacian.T @ laplacian + sparse.diags(weight.ravel())
    return factorized(system.tocsc())(weight.ravel() * goal.ravel()).reshape(rows, period)


def _hidden(
    chart: RadialChart, portrait: Portrait, scalp: np.ndarray, radius: np.ndarray, sides: list[_Side], bare: _Bare
) -> np.ndarray:
    """(rows, columns): where hair is that the photo does not show.

    What a row shows at the outline goes on round the back: on the scalp, or, where it hangs, from behind the skin that
    the photo shows, as far down as at the outline.
    """
    rows, columns = chart.shape
    row = np.arange(rows)[:, None]
    right = (0.5 + 0.5 * np.sin(chart.azimuth))[None]
    at_outline = [_filled_down(side) for side in sides]
    along = (1 - right) * at_outline[0][:, None] + right * at_outline[1][:, None]
    last = (1 - right) * sides[0].last + right * sides[1].last
    hangs = np.clip((last + 2 * _frayed(columns, seed=0)[None] - row) / 4 + 0.5, 0, 1)
    skin = portrait.sample(portrait.regions[..., SKIN], portrait.camera.project(chart.points(radius))) > 0.5
    skin |= bare.shown
    turned = np.degrees(portrait.turned(chart.azimuth))
    grows = scalp * along
    beside = np.abs(turned)
    for side in sides:
        grows = np.where(
            side.half & (beside < side.ear_azimuth)[None], _before_ear(chart, side, beside, grows, skin), grows
        )
        begin = _face_ends(side.mirrored_from or side, skin, beside)
        if side.mirrored_from is not None:
            begin = begin + 2 * np.degrees(abs(portrait.azimuth))
        behind = np.clip((beside[None] - begin[:, None]) / 4, 0, 1)
        # Short hair ends with the scalp; on a side where it hangs lower, it covers all behind the face.
        long = np.clip((side.last - side.ear_rows[0]) / 4 - 1, 0, 1) * side.ear_covered
        low = np.clip((side.last - side.ear_rows[1]) / 4, 0, 1)
        reach = np.maximum(long, low * np.clip((beside - side.ear_azimuth - 10) / 15, 0, 1)[None])
        hangs = np.where(side.half, hangs * behind * reach, hangs)
    hangs = ndimage.gaussian_filter(hangs * along, (0, 1), mode=("nearest", "wrap"))
    return np.maximum(grows, hangs)


def _frayed(columns: int, seed: int) -> np.ndarray:
    """(columns,) rows by which neighbouring ends of hair differ."""
    return ndimage.gaussian_filter1d(np.random.default_rng(seed).standard_normal(columns), 1.0, mode="wrap")


def _face_ends(side: _Side, skin: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """(rows,) degrees from the camera's azimuth to where the skin (rows, columns) that a side shows ends.

    Args:
        beside: (columns,) degrees from the camera's azimuth.
    """
    seen = skin & side.half & (beside < 60)[None]
    last = np.where(seen, beside[None], 0).max(1)
    return np.maximum(ndimage.gaussian_filter1d(ndimage.maximum_filter1d(last, 3), 1.0), 25)


def _before_ear(chart: RadialChart, side: _Side, beside: np.ndarray, grows: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """(rows, columns): hair of the scalp as given, ending above the ear's height and in front of the ear in a sideburn.

    Args:
        beside: (columns,) degrees from the camera's azimuth.
        skin: (rows, columns) bool, where the photo shows it.
    """
    row = np.arange(chart.shape[0])[:, None]
    top = chart.cap_rows - 2
    degrees, heights = SIDEBURN
    burn = smoothstep(beside - np.degrees(side.ear_front) + degrees, 0, SIDEBURN_EDGE)
    end = top + burn * max(side.ear_rows[0] + heights * (side.ear_rows[1] - side.ear_rows[0]) - top, 0)
    above = grows[max(top - 1, 0)]
    return np.where(row <= top, grows, above * np.clip((end - row) / 2 + 0.5, 0, 1) * ~skin)


def _filled_down(side: _Side) -> np.ndarray:
    """(rows,): the share of hair that a side's outline shows; below its end what it shows above it."""
    covered = side.covered.copy()
    if side.last >= 0:
        covered[int(covered.argmax()) : side.last + 1] = True
    share = ndimage.gaussian_filter1d(covered.astype(float), 1.5, mode="nearest")
    if side.last >= 0:
        level = min(max(side.last - 6, 0), int(side.ear_rows[0]))
        share[level:] = np.maximum(share[level:], share[max(level - 4, 0) : level + 6].max())
    return share


def _without(faces: np.ndarray, member: np.ndarray) -> np.ndarray:
    """The faces (F', 3) of which no vertex is a member (V,) bool."""
    return faces[~member[faces].any(1)]
