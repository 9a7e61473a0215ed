"""Brows, lashes and beards: short hairs rooted in the face, which they move with."""

from __future__ import annotations

import numpy as np

from backend.geometry.smoothstep import smoothstep
from backend.people.synthesis import anatomy as places
from backend.people.synthesis.anatomy import HeadAnatomy
from backend.people.synthesis.person import Person
from backend.people.synthesis.strands import clump
from backend.people.synthesis.surface import Roots, nearest_roots, scatter

BROW_HAIRS, LASHES = 420, 90
BEARD_LENGTHS = {"stubble": 0.0014, "moustache": 0.010, "goatee": 0.014, "short": 0.008, "full": 0.028}


def grow_brows(
    person: Person, anatomy: HeadAnatomy, vertices: np.ndarray, faces: np.ndarray, landmarks: np.ndarray
) -> tuple[Roots, np.ndarray]:
    """Roots and strands (n, 5, 3), lying outwards over each other."""
    rng = person.rng(5)
    starts, ways = [], []
    count = int(BROW_HAIRS * (0.45 + 0.75 * person.traits.brow_density))
    for upper, lower in places.BROWS:
        up, low = landmarks[list(upper)], landmarks[list(lower)]
        s = np.sort(rng.beta(1.5, 1.5, count)) * 0.999 * (len(up) - 1)
        k, f = s.astype(int), (s % 1)[:, None]
        # Sparser towards the ends and the edges: brows of even density look painted.
        across = np.clip(rng.normal(0.45, 0.30, count), -0.25, 1.2)[:, None]
        line_up, line_low = up[k] * (1 - f) + up[k + 1] * f, low[k] * (1 - f) + low[k + 1] * f
        outwards = -(up[np.minimum(k + 1, len(up) - 1)] - up[np.maximum(k - 0, 0)])
        # The landmarks run from the outer end inwards.
        rise = (s / (len(up) - 1))[:, None]
        way = _unit(outwards) + (0.15 + 0.75 * rise**2) * _unit(line_up - line_low) * (1 - 1.2 * across * (1 - rise))
        starts.append(line_low + across * (line_up - line_low))
        ways.append(way + rng.normal(0, 0.2, way.shape))
    points, along = np.concatenate(starts), _unit(np.concatenate(ways))
    roots = nearest_roots(points, vertices, faces, _skin_faces(anatomy, faces))
    base, normal = roots.on(vertices, faces), roots.frames(vertices, faces)[..., 2]
    lengths = rng.uniform(0.004, 0.009, len(points))
    return roots, _bent(
        base, _unit(along - (along * normal).sum(1, keepdims=True) * normal + 0.22 * normal), -normal * 0.25, lengths
    )


def grow_lashes(
    person: Person, anatomy: HeadAnatomy, vertices: np.ndarray, faces: np.ndarray, landmarks: np.ndarray
) -> tuple[Roots, np.ndarray]:
    """Roots and strands (n, 5, 3) of both lids of both eyes."""
    rng = person.rng(6)
    roots_at, ways, lengths = [], [], []
    for lids, share, reach, rise in ((places.UPPER_LIDS, 1.0, 0.0085, 0.9), (places.LOWER_LIDS, 0.6, 0.0045, -0.5)):
        for lid in lids:
            line = landmarks[list(lid)]
            middle = (line[0] + line[-1]) / 2
            s = rng.uniform(0.06, 0.96, int(LASHES * share)) * (len(line) - 1)
            k, f = s.astype(int), (s % 1)[:, None]
            place = line[k] * (1 - f) + line[k + 1] * f
            fan = (place - middle)[:, :1] / 0.015
            roots_at.append(place)
            ways.append(np.concatenate([0.55 * fan, np.full_like(fan, 0.25 * rise), np.ones_like(fan)], 1))
            lengths.append(reach * (0.6 + 0.5 * person.traits.lash_density) * rng.uniform(0.6, 1.0, len(place)))
    points, along = np.concatenate(roots_at), _unit(np.concatenate(ways))
    roots = nearest_roots(points, vertices, faces, _skin_faces(anatomy, faces))
    lift = np.where(np.arange(len(points)) < 2 * LASHES, 0.9, -0.4)[:, None] * np.array([0.0, 1.0, 0.0])
    return roots, _bent(
        roots.on(vertices, faces), _unit(along + rng.normal(0, 0.06, along.shape)), lift, np.concatenate(lengths)
    )


def beard_density(person: Person, anatomy: HeadAnatomy) -> np.ndarray:
    """(V,) in [0, 1] where a beard grows, with the moustache, without the lips."""
    template, marks = anatomy.template, anatomy.landmarks
    x, y, z = template.T
    lips, nose, chin = marks[13], marks[2], marks[places.CHIN]
    cheek = np.interp(
        np.abs(x), [0, 0.02, 0.035, 0.055, 0.075], lips[1] + np.array([-0.012, -0.006, -0.004, 0.012, 0.045])
    )
    area = smoothstep(cheek - y, -0.003, 0.008) * smoothstep(y, chin[1] - 0.045, chin[1] - 0.015)
    area = area * smoothstep(z, marks[places.FACE_SIDES[0], 2] - 0.012, marks[places.FACE_SIDES[0], 2] + 0.004)
    width = np.abs(x) / 0.030
    moustache = (
        smoothstep(nose[1] - 0.007 - 0.25 * np.abs(x) - y, 0, 0.004)
        * smoothstep(y, lips[1] - 0.006, lips[1])
        * smoothstep(width, 1.05, 0.8)
    )
    chin_only = smoothstep(np.abs(x), 0.034, 0.024) * (y < lips[1])
    area = {
        "moustache": moustache,
        "goatee": np.maximum(moustache, area * chin_only),
    }.get(person.beard, np.maximum(moustache, area))
    mouth = marks[list(places.LIPS)]
    inside = ((x - mouth[:, 0].mean()) / (np.ptp(mouth[:, 0]) * 0.54)) ** 2 + (
        (y - mouth[:, 1].mean()) / (np.ptp(mouth[:, 1]) * 0.56)
    ) ** 2
    area = area * smoothstep(inside, 0.85, 1.15)
    area[anatomy.mouth | anatomy.ears | anatomy.eye_left | anatomy.eye_right] = 0
    return area * (z > -0.06)


def grow_beard(
    person: Person, anatomy: HeadAnatomy, vertices: np.ndarray, faces: np.ndarray
) -> tuple[Roots, np.ndarray] | None:
    """Roots and strands (n, 5, 3); None without a beard."""
    if person.beard == "none":
        return None
    rng = person.rng(7)
    roots = scatter(rng, vertices, faces, beard_density(person, anatomy), 9000 if person.beard == "stubble" else 11000)
    base, normal = roots.on(vertices, faces), roots.frames(vertices, faces)[..., 2]
    length = BEARD_LENGTHS[person.beard] * rng.uniform(0.7, 1.3)
    side = np.sign(base[:, :1]) * np.array([0.35, 0, 0])
    way = _unit(0.75 * normal + np.array([0, -0.7, 0.0]) + side + rng.normal(0, 0.22, base.shape))
    strands = _bent(base, way, np.array([0, -0.8, 0]) - 0.3 * normal, length * rng.uniform(0.6, 1.2, len(base)))
    return roots, clump(rng, strands, 700, 0.35) if length > 0.006 else strands


def _bent(base: np.ndarray, way: np.ndarray, bend: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    t = np.linspace(0, 1, 5)[None, :, None]
    return (
        base[:, None]
        + lengths[:, None, None] * (t * way[:, None] + 0.45 * t**2 * np.broadcast_to(bend, way.shape)[:, None])
    ).astype(np.float32)


def _skin_faces(anatomy: HeadAnatomy, faces: np.ndarray) -> np.ndarray:
    inner = anatomy.eye_left | anatomy.eye_right | anatomy.mouth
    return ~inner[faces].any(1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
