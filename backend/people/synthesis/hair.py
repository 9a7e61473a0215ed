"""Hair on the head: where it grows, how it is cut and combed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.geometry.smoothstep import smoothstep
from backend.people.synthesis.anatomy import HeadAnatomy
from backend.people.synthesis.person import SHORT, Person
from backend.people.synthesis.strands import Growth, Obstacle, between, clump, curl, frizz, grow
from backend.people.synthesis.surface import scatter
from flame.geometry import vertex_normals

GUIDES = 900


@dataclass(frozen=True)
class Cut:
    """A hair cut.

    Attributes:
        length: metres on top; sides, back: there. fringe: over the forehead, or None to leave it combed away.
        growth: of the guides. flow: a name of `_flows`.
        strands, points: how many, and the points of each. radius: metres, thicker than hair because they are fewer.
        fade: in [0, 1], how far up the sides hair is shaved towards ears and neck.
        clumps, clumping, curl, period, frizz: see `strands`.
    """

    length: float
    sides: float
    back: float
    growth: Growth
    flow: str
    strands: int = 14000
    points: int = 12
    radius: float = 0.00016
    fringe: float | None = None
    fade: float = 0.0
    clumps: int = 500
    clumping: float = 0.5
    curl: float = 0.0
    period: float = 0.03
    frizz: float = 0.002


@dataclass(frozen=True, eq=False)
class Hair:
    """Grown hair.

    Attributes:
        strands: (n, P, 3) float32. radius: metres. grey: (n,) how likely each is grey.
    """

    strands: np.ndarray
    radius: float
    grey: np.ndarray


def grow_hair(person: Person, anatomy: HeadAnatomy, vertices: np.ndarray, faces: np.ndarray) -> Hair | None:
    """Hair over a head (V, 3) at rest; None for the bald.

    With a hat or scarf only what its rim lets out is kept: short hair below it.
    """
    rng = person.rng(1)
    if person.hair == "bald" or person.hat in ("headscarf", "hood"):
        return None
    name = person.hair
    if name == "cards":
        name = "crop"
    if person.hat != "none" and name not in SHORT:
        name = {"long": "long", "bob": "bob", "long_curls": "long_curls", "fringe": "long"}.get(name, "crop")
    cut = _cut(name, rng)
    density = scalp(person, anatomy)
    part = rng.choice([-1, 0, 1]) * rng.uniform(0.015, 0.035) if cut.flow == "parted" else 0.0
    roots = scatter(rng, vertices, faces, _dense_where_it_starts(density, cut, part, anatomy), cut.strands)
    normals = vertex_normals(vertices, faces)
    solid = np.ones(len(vertices), bool)
    solid[anatomy.eye_left | anatomy.eye_right | anatomy.mouth] = False
    obstacle = Obstacle(vertices[solid], normals[solid])
    starts = roots.on(vertices, faces)
    if not len(starts):
        return None
    chosen = rng.choice(len(starts), min(GUIDES, len(starts)), replace=False)
    guide_roots = starts[chosen]
    template = roots.on(anatomy.template, faces)[chosen]
    azimuth = np.abs(np.arctan2(template[:, 0], template[:, 2] - anatomy.center[2]))
    height = smoothstep(template[:, 1], anatomy.brow + 0.03, anatomy.brow + 0.07)
    behind = smoothstep(azimuth, 1.7, 2.4)
    lengths = cut.length * height + (1 - height) * (cut.sides * (1 - behind) + cut.back * behind)
    front = (azimuth < 0.55) & (template[:, 1] > anatomy.brow + 0.035) & (template[:, 2] > anatomy.center[2] + 0.03)
    fringed = front if cut.fringe is not None else np.zeros_like(front)
    lengths = np.where(fringed, cut.fringe or 0.0, lengths) * rng.uniform(0.9, 1.08, len(lengths))
    if cut.fade:
        top = anatomy.ear + 0.02 + 0.045 * cut.fade
        lengths = lengths * (0.04 + 0.96 * smoothstep(template[:, 1], anatomy.ear - 0.02, top))
    flow = _flows(cut.flow, anatomy, part, rng)
    guides = np.zeros((len(chosen), cut.points, 3))
    for group, way in ((~fringed, flow), (fringed, _flows("forward", anatomy, 0.0, rng))):
        if group.any():
            guides[group] = grow(
                rng, guide_roots[group], roots.on(normals, faces)[chosen][group], lengths[group], cut.growth, way,
                obstacle, cut.points,
            )  # fmt: skip
    parted = (lambda p: (p[:, 0] > part).astype(float)) if cut.flow == "parted" else None
    strands = between(rng, guides, starts, parted)
    strands = clump(rng, strands, cut.clumps, cut.clumping)
    strands = frizz(rng, curl(rng, strands, cut.curl, cut.period, cut.clumps or 900), cut.frizz)
    if cut.flow == "tied":
        strands = np.concatenate([strands, _tied_end(person.hair, anatomy, rng, cut.points)])
    if person.hat != "none":
        # What lies under the hat does not show; the rest hangs from below its rim.
        rim = anatomy.brow + 0.03 + (vertices[:, 1].max() - anatomy.template[:, 1].max())
        strands = strands[strands[:, 0, 1] < rim]
    return Hair(strands.astype(np.float32), cut.radius, _greying(person, anatomy, strands[:, 0], vertices))


def _greying(person: Person, anatomy: HeadAnatomy, starts: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """(n,) how likely hair is grey that begins at places (n, 3): first at the temples."""
    rise = float(vertices[anatomy.skull, 1].max() - anatomy.template[anatomy.skull, 1].max())
    azimuth = np.abs(np.arctan2(starts[:, 0], starts[:, 2] - anatomy.center[2]))
    temple = smoothstep(azimuth, 0.7, 1.0) * smoothstep(azimuth, 2.4, 1.7)
    temple = temple * smoothstep(starts[:, 1], anatomy.brow + rise + 0.05, anatomy.brow + rise + 0.01)
    return 0.5 * person.grey + temple * (person.grey_temples - 0.5 * person.grey)


def _dense_where_it_starts(density: np.ndarray, cut: Cut, part: float, anatomy: HeadAnatomy) -> np.ndarray:
    """The density with more roots where no hair from elsewhere lies over the skin: along the part."""
    if cut.flow != "parted":
        return density
    x, y, _ = anatomy.template.T
    near = np.exp(-(((x - part) / 0.012) ** 2)) * smoothstep(y, anatomy.brow + 0.03, anatomy.brow + 0.05)
    return density * (0.3 + 0.7 * near)


def scalp(person: Person, anatomy: HeadAnatomy) -> np.ndarray:
    """(V,) in [0, 1] where hair grows, by the hairline of the person."""
    rng = person.rng(2)
    x, y, z = anatomy.template.T
    azimuth = np.abs(np.arctan2(x, z - anatomy.center[2]))
    front = anatomy.brow + rng.uniform(0.046, 0.058)
    recede = 0.008 * (person.shape.male > 0.5) + 0.028 * person.recede
    front = front + 0.014 * person.recede
    line = np.interp(
        azimuth,
        [0.0, 0.35, 0.60, 0.75, 0.85, 0.96, 1.15, 1.90, 2.05, 2.35, np.pi],
        front + np.array([0, 0.001, recede + 0.002, -0.010, -0.036, -0.078, -0.050, -0.045, -0.080, -0.10, -0.112]),
    )
    density = smoothstep(y - line, -0.002, 0.006)
    if person.hair == "balding":
        top = smoothstep(y, anatomy.brow + 0.035, anatomy.brow + 0.055)
        density = density * (1 - top) * smoothstep(azimuth, 0.8, 1.15)
    density[anatomy.auricles | anatomy.eye_left | anatomy.eye_right | anatomy.mouth] = 0
    skull = anatomy.ears.copy()
    skull[anatomy.skull] = True
    return density * skull


def _cut(name: str, rng: np.random.Generator) -> Cut:
    u = rng.uniform
    if name in ("buzz", "balding"):
        n = u(0.003, 0.008) if name == "buzz" else u(0.008, 0.025)
        return Cut(n, n, n, Growth(0.6, 8, 30, 0.001), "whorl", 26000, 4, 0.00013, clumps=0, frizz=0.001)
    if name == "fade":
        top = u(0.006, 0.03)
        return Cut(top, top * u(0.35, 0.6), top * 0.5, Growth(0.5, 6, 40, 0.006), "forward", 26000, 5, 0.00013,
                   fade=u(0.3, 1.0), clumps=1200, clumping=0.2, frizz=0.001)  # fmt: skip
    if name == "crop":
        top = u(0.018, 0.035)
        return Cut(
            top,
            top * u(0.35, 0.8),
            top * 0.7,
            Growth(0.45, 6, 40, 0.008),
            "forward",
            20000,
            6,
            clumps=900,
            clumping=0.35,
        )
    if name == "swept":
        return Cut(
            u(0.05, 0.08), u(0.012, 0.03), 0.03, Growth(0.55, 5, 45, 0.020), "back", 17000, 9, clumps=600, clumping=0.5
        )
    if name == "parted":
        return Cut(u(0.06, 0.10), u(0.03, 0.05), 0.05, Growth(0.35, 18, 40, 0.016), "parted", 16000, 10, clumping=0.5)
    if name == "curls":
        return Cut(u(0.06, 0.10), u(0.03, 0.08), 0.07, Growth(0.6, 9, 12, 0.026), "whorl", 13000, 20, 0.00018,
                   clumps=900, clumping=0.55, curl=u(0.004, 0.007), period=u(0.014, 0.022), frizz=0.004)  # fmt: skip
    if name == "afro":
        n = u(0.03, 0.075)
        return Cut(n, n * 0.85, n * 0.8, Growth(0.95, 0.5, 0.5, 0.0), "whorl", 15000, 18, 0.00018, clumps=0,
                   curl=u(0.002, 0.0035), period=u(0.007, 0.010), frizz=0.012)  # fmt: skip
    if name == "bob":
        n = u(0.16, 0.22)
        return Cut(n, n * 0.68, n * 0.6, Growth(0.3, 26, 22, 0.020), "parted", 14000, 16, clumps=350, clumping=0.5)
    if name in ("long", "fringe"):
        n = u(0.30, 0.42)
        fringe = u(0.055, 0.07) if name == "fringe" else None
        return Cut(n, n * 0.85, n * 0.8, Growth(0.25, 30, 20, 0.018), "parted", 14000, 22, fringe=fringe, clumps=300,
                   clumping=0.6, curl=u(0, 0.004), period=u(0.06, 0.12), frizz=0.004)  # fmt: skip
    if name == "long_curls":
        n = u(0.24, 0.34)
        return Cut(n, n * 0.8, n * 0.75, Growth(0.35, 20, 14, 0.030), "parted", 11000, 36, 0.00019, clumps=500,
                   clumping=0.7, curl=u(0.006, 0.011), period=u(0.025, 0.045), frizz=0.006)  # fmt: skip
    return Cut(0.22, 0.17, 0.14, Growth(0.1, 0, 90, 0.007), "tied", 14000, 16, clumps=400, clumping=0.35, frizz=0.001)


def _tie(anatomy: HeadAnatomy) -> np.ndarray:
    return np.array([0.0, anatomy.brow + 0.035, anatomy.template[anatomy.skull, 2].min() - 0.008])


def _flows(name: str, anatomy: HeadAnatomy, part: float, rng: np.random.Generator):
    crown = np.array([0.0, anatomy.template[anatomy.skull, 1].max(), anatomy.center[2] - 0.03])
    tie, sway = _tie(anatomy), rng.uniform(-0.5, 0.5)

    def unit(v: np.ndarray) -> np.ndarray:
        return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-9)

    def constant(direction: list[float]):
        return lambda p, t: np.broadcast_to(np.array(direction), p.shape)

    def parted(p: np.ndarray, t: float) -> np.ndarray:
        away = np.where(p[:, 0] > part, 1.0, -1.0)
        low = smoothstep(p[:, 1], crown[1] - 0.03, crown[1] - 0.09)
        # First off the part, then down and a little back, off the face.
        return unit(np.stack([away * (1.2 - 0.9 * low), -0.2 - 1.0 * low, -0.35 + 0.15 * low], 1))

    return {
        "whorl": lambda p, t: unit(p - crown + rng.normal(0, 0.01, p.shape)),
        "forward": constant([sway * 0.6, -0.35, 1.0]),
        "back": lambda p, t: unit(
            np.stack([0.5 * sway + 0 * p[:, 0], 0.55 - 1.2 * t + 0 * p[:, 0], -1 + 0 * p[:, 0]], 1)
        ),
        "parted": parted,
        "tied": lambda p, t: unit(tie - p),
    }[name]


def _tied_end(style: str, anatomy: HeadAnatomy, rng: np.random.Generator, points: int) -> np.ndarray:
    """The tail or bun behind the tie, (n, points, 3)."""
    tie, count = _tie(anatomy), 2600
    t = np.linspace(0, 1, points)[None, :, None]
    around = rng.uniform(0, 2 * np.pi, count)
    out = np.sqrt(rng.random(count))
    if style == "bun":
        size = rng.uniform(0.024, 0.036)
        turns = around[:, None] + np.linspace(0, 1, points)[None] * rng.uniform(1.5, 3.2, (count, 1)) * np.pi
        tilt = rng.uniform(-1.1, 1.1, (count, 1)) + 0.25 * np.sin(turns)
        shell = size * (0.75 + 0.25 * out)[:, None]
        ball = [shell * np.cos(turns) * np.cos(tilt), shell * np.sin(turns) * np.cos(tilt), shell * np.sin(tilt)]
        return np.stack(ball, -1) + tie + [0, 0, -0.6 * size]
    length = rng.uniform(0.18, 0.30) * rng.uniform(0.8, 1.0, count)
    start = tie + np.stack([0.011 * out * np.cos(around), 0.011 * out * np.sin(around), 0 * out], 1)
    spread = np.stack([np.cos(around), 0 * around, np.sin(around)], 1) * 0.02 * out[:, None]
    lean = rng.choice([-1, 1]) * rng.uniform(0, 0.05)
    fall = np.array([lean, -1.0, 0]) * t**1.6 + np.array([0, 0.15, -0.9]) * (t * (1 - t) ** 1.5)
    tail = start[:, None] + length[:, None, None] * fall + spread[:, None] * np.sin(np.pi * t**0.7)
    return frizz(rng, clump(rng, tail, 60, 0.5), 0.006)
