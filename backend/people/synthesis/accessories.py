"""What people wear: clothes with collars, hats and scarves, glasses. Each mesh is `vertices`, `faces`, a material."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from backend.geometry.smoothstep import smoothstep
from backend.people.synthesis import anatomy as places
from backend.people.synthesis.anatomy import HeadAnatomy
from backend.people.synthesis.noise import field_2d
from backend.people.synthesis.person import Person
from backend.people.synthesis.surface import grid_faces, tube
from flame.geometry import vertex_normals

AROUND = 96
SHOULDER_CUT = 0.235
"""Metres from the middle to where the template's shoulders end."""
NECK_AXIS_Z = -0.085
"""Metres; the vertical line through the neck that collars are drawn about."""


def neckline(person: Person, anatomy: HeadAnatomy) -> tuple[float, float]:
    """Heights (y, template) of the clothes' edge: behind and beside, and how much it dips in front."""
    rng = person.rng(10)
    base = anatomy.chin - rng.uniform(0.045, 0.062) + 0.015 * (person.collar == "hood")
    dip = {"crew": (0.02, 0.04), "vee": (0.07, 0.11), "shirt": (0.03, 0.06), "turtleneck": (0.01, 0.02)}
    return base, rng.uniform(*dip.get(person.collar, (0.03, 0.05)))


def below_neckline(person: Person, anatomy: HeadAnatomy) -> np.ndarray:
    """(V,) metres that a vertex lies below the clothes' edge."""
    base, dip = neckline(person, anatomy)
    x, y, z = anatomy.template.T
    angle = np.arctan2(np.abs(x), z - NECK_AXIS_Z)
    front = np.clip(1 - angle / 1.5, 0, 1) ** (1.0 if person.collar == "vee" else 0.7)
    # The shoulders rise behind.
    return base - dip * front - 0.004 - y + 0.02 * smoothstep(angle, 1.6, 3.0)


def dress(person: Person, anatomy: HeadAnatomy, vertices: np.ndarray, faces: np.ndarray) -> dict:
    """The cloth over the torso: indices into the body's vertices, how far it stands off, its faces and `edge` (V,)."""
    depth = below_neckline(person, anatomy)
    rng = person.rng(11)
    kept = (depth[faces] > -0.004).any(1) & (anatomy.head_weight[faces] < 0.9).all(1)
    waves = np.sin((anatomy.template @ rng.normal(0, 28, 3)) + rng.uniform(0, 6)) * np.sin(
        anatomy.template @ rng.normal(0, 35, 3)
    )
    off = 0.004 + 0.005 * smoothstep(depth, 0, 0.05) + 0.0018 * waves * smoothstep(depth, 0.01, 0.05)
    used, compact = np.unique(faces[kept], return_inverse=True)
    return {"index": used, "off": off[used], "edge": depth[used], "faces": compact.reshape(-1, 3)}


def make_collar(person: Person, anatomy: HeadAnatomy, vertices: np.ndarray, faces: np.ndarray) -> dict:
    """A collar around the neck of a body (V, 3) at rest, with `row` (n,) the way from its foot (0) to its edge (1)."""
    rng = person.rng(12)
    around = np.linspace(-np.pi, np.pi, AROUND)
    foot = _edge(person, anatomy, vertices, faces, around)
    outward = np.stack([np.sin(around), 0 * around, np.cos(around)], 1)
    if person.collar in ("crew", "vee"):
        bead = np.linspace(0, 2 * np.pi, 9)
        rows = [foot + outward * (0.0055 + 0.0035 * np.cos(b)) + [0, 0.006 * np.sin(b), 0] for b in bead]
    elif person.collar == "turtleneck":
        top = rng.uniform(0.045, 0.06)
        profile = [
            (0.008, 0.0),
            (0.007, 0.3),
            (0.006, 0.65),
            (0.0055, 0.95),
            (0.009, 1.0),
            (0.0125, 0.9),
            (0.014, 0.5),
            (0.013, 0.3),
        ]
        neck = [_around_body(vertices, anatomy, around, foot[:, 1] + h * top) for _, h in profile]
        rows = [n + outward * d for n, (d, _) in zip(neck, profile, strict=True)]
    elif person.collar == "hood":
        back = smoothstep(np.abs(around), 0.5, 1.8)
        bead = np.linspace(0, 2 * np.pi, 13)
        size = (0.009 + 0.013 * back)[:, None]
        rows = [
            foot + outward * size * (1.1 + np.cos(b)) + np.array([0, 1.0, 0]) * size * (0.5 + 1.2 * np.sin(b))
            for b in bead
        ]
    else:
        # A stand, and the fall folded over it, longest at its points in front.
        fall = 0.030 + 0.028 * np.exp(-(((np.abs(around) - 0.35) / 0.35) ** 2))
        opening = smoothstep(np.abs(around), 0.0, 0.3)
        stand = 0.026 * opening + 0.004
        profile = [(0.004, 0.0), (0.005, 0.6), (0.006, 1.0), (0.010, 1.06)]
        rows = [foot + outward * d + np.stack([0 * stand, stand * h, 0 * stand], 1) for d, h in profile]
        for s in (0.3, 0.65, 1.0):
            drop = stand * 1.05 - fall * s
            rows.append(
                foot
                + outward * (0.011 + 0.010 * s)
                + np.stack([0.10 * fall * s * np.sign(around), drop, 0.25 * fall * s], 1)
            )
    points = np.stack(rows, 1)
    points[-1] = points[0]
    row = np.tile(np.linspace(0, 1, points.shape[1]), AROUND)
    return {"vertices": points.reshape(-1, 3).astype(np.float32), "faces": grid_faces(*points.shape[:2]), "row": row}


def _edge(
    person: Person, anatomy: HeadAnatomy, vertices: np.ndarray, faces: np.ndarray, around: np.ndarray
) -> np.ndarray:
    """Points (A, 3) of the clothes' edge on a body, at azimuths about the neck."""
    depth = below_neckline(person, anatomy)
    sides = np.unique(np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2), 1), axis=0)
    inner = anatomy.mouth | (anatomy.head_weight > 0.98)
    sides = sides[(depth[sides[:, 0]] > 0) != (depth[sides[:, 1]] > 0)]
    sides = sides[~inner[sides].any(1)]
    a, b = sides.T
    share = (depth[a] / (depth[a] - depth[b]))[:, None]
    crossing = vertices[a] * (1 - share) + vertices[b] * share
    place = anatomy.template[a] * (1 - share) + anatomy.template[b] * share
    angle = np.arctan2(place[:, 0], place[:, 2] - NECK_AXIS_Z)
    order = np.argsort(angle)
    points = np.stack([np.interp(around, angle[order], crossing[order, k], period=2 * np.pi) for k in range(3)], 1)
    return gaussian_filter(points, (1.2, 0), mode="wrap")


def _around_body(vertices: np.ndarray, anatomy: HeadAnatomy, around: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Points (A, 3) on the neck at azimuths and heights."""
    x, y, z = vertices.T
    low = ~(anatomy.ears | anatomy.mouth | anatomy.eye_left | anatomy.eye_right) & (
        anatomy.template[:, 1] < anatomy.chin - 0.03
    )
    angle, out = np.arctan2(x, z - NECK_AXIS_Z)[low], np.hypot(x, z - NECK_AXIS_Z)[low]
    # Metres on both sides, or nearness would mean nothing.
    tree = cKDTree(np.stack([0.06 * np.cos(angle), 0.06 * np.sin(angle), y[low]], 1))
    distance, near = tree.query(np.stack([0.06 * np.cos(around), 0.06 * np.sin(around), height], 1), k=6)
    weight = 1 / (distance + 0.002) ** 2
    radius = (out[near] * weight).sum(1) / weight.sum(1)
    radius = gaussian_filter(radius, 1.5, mode="wrap")
    return np.stack([radius * np.sin(around), height, NECK_AXIS_Z + radius * np.cos(around)], 1)


def make_hat(person: Person, anatomy: HeadAnatomy, vertices: np.ndarray) -> list[dict]:
    """A hat's meshes over a head (V, 3) at rest: crown and brim, knitted cap, headscarf or hood."""
    if person.hat == "none":
        return []
    rng = person.rng(13)
    around = np.linspace(-np.pi, np.pi, AROUND)
    rise = float(vertices[anatomy.skull, 1].max() - anatomy.template[anatomy.skull, 1].max())
    center = anatomy.center + np.array([0, rise, 0])
    rim_y = (
        anatomy.brow
        + rise
        + rng.uniform(0.026, 0.04)
        - (0.03 if person.hat == "beanie" else 0.012) * smoothstep(np.abs(around), 0.8, 1.6)
    )
    if person.hat == "headscarf":
        rim_y = np.interp(
            np.abs(around),
            [0, 0.55, 0.8, 1.0, np.pi],
            anatomy.brow + rise + np.array([0.045, 0.03, -0.03, -0.16, -0.20]),
        )
    if person.hat == "hood":
        rim_y = np.interp(
            np.abs(around),
            [0, 0.5, 0.75, 0.95, np.pi],
            anatomy.brow + rise + np.array([0.055, 0.045, -0.01, -0.15, -0.21]),
        )
    low = np.arcsin(np.clip((rim_y - center[1]) / 0.115, -0.95, 0.9))
    steps = np.linspace(0, 1, 40)
    elevation = np.pi / 2 + steps[None] * (low - np.pi / 2)[:, None]
    thick = {"beanie": 0.009, "cap": 0.011, "headscarf": 0.010, "hood": 0.020}[person.hat]
    radius = _skull_radius(anatomy, vertices, center, around, elevation) + thick
    if person.hat == "beanie":
        ribs = 0.0012 * np.sin(around * 46)[:, None] * smoothstep(steps, 0.08, 0.4)
        radius = radius + ribs + 0.012 * smoothstep(steps, 0.45, 0.0) + 0.004 * (steps > 0.80)
    if person.hat in ("headscarf", "hood"):
        radius = radius + 0.0022 * field_2d(rng, (radius.shape[0], radius.shape[1]), (5, 3)) * smoothstep(
            steps, 0.1, 0.5
        )
        radius[-1] = radius[0]
    direction = np.stack(
        [np.sin(around)[:, None] * np.cos(elevation), np.sin(elevation), np.cos(around)[:, None] * np.cos(elevation)],
        -1,
    )
    points = center + radius[..., None] * direction
    hats = [
        {"vertices": points.reshape(-1, 3).astype(np.float32), "faces": grid_faces(*points.shape[:2]), "name": "hat"}
    ]
    if person.hat == "cap":
        front = np.abs(around) < 0.95
        inner, a = points[front, -1], np.linspace(-1, 1, front.sum())
        reach = rng.uniform(0.055, 0.07) * np.sqrt(np.clip(1 - a**2, 0, 1))
        way = np.stack([0 * reach, -0.28 * reach - 0.02 * a**2 * 0, reach], 1)
        brim = inner[:, None] + np.linspace(0, 1, 8)[None, :, None] * way[:, None]
        hats.append(
            {"vertices": brim.reshape(-1, 3).astype(np.float32), "faces": grid_faces(*brim.shape[:2]), "name": "brim"}
        )
    return hats


def _skull_radius(
    anatomy: HeadAnatomy, vertices: np.ndarray, center: np.ndarray, around: np.ndarray, elevation: np.ndarray
) -> np.ndarray:
    rays = vertices - center
    usable = ~(anatomy.mouth | anatomy.eye_left | anatomy.eye_right) & (anatomy.template[:, 1] > anatomy.chin - 0.09)
    lengths = np.linalg.norm(rays[usable], axis=1)
    d = np.stack(
        [np.sin(around)[:, None] * np.cos(elevation), np.sin(elevation), np.cos(around)[:, None] * np.cos(elevation)],
        -1,
    )
    _, near = cKDTree(rays[usable] / lengths[:, None]).query(d.reshape(-1, 3), k=4)
    return gaussian_filter(lengths[near].max(1).reshape(elevation.shape), (2, 1.5), mode=("wrap", "nearest"))


def make_glasses(person: Person, anatomy: HeadAnatomy, vertices: np.ndarray, landmarks: np.ndarray) -> list[dict]:
    """Frame and lenses for a head (V, 3) at rest with its landmarks (478, 3)."""
    if person.glasses == "none":
        return []
    rng = person.rng(14)
    half = np.array([rng.uniform(0.0225, 0.026), rng.uniform(0.017, 0.021)])
    if person.glasses == "round":
        half = np.full(2, rng.uniform(0.020, 0.023))
    corner = {"round": 1.0, "wire": rng.uniform(0.5, 0.9)}.get(person.glasses, rng.uniform(0.45, 0.7))
    wire = rng.uniform(0.0008, 0.0012) if person.glasses in ("wire", "round") else rng.uniform(0.0018, 0.0028)
    front = max(landmarks[[*places.EYE_CORNERS[0], *places.EYE_CORNERS[1]], 2].max() + 0.013, landmarks[6, 2] + 0.003)
    ear = np.abs(vertices[anatomy.ears])
    ear_x, ear_y = np.percentile(ear[:, 0], 35), np.percentile(vertices[anatomy.ears, 1], 82)
    angle = np.linspace(0, 2 * np.pi, 49)
    frames, lenses, hubs = [], [], []
    for pair in places.EYE_CORNERS:
        middle = landmarks[list(pair)].mean(0)
        side = np.sign(middle[0])
        c, s = np.cos(angle), np.sin(angle)
        x = middle[0] * 1.04 + half[0] * np.sign(c) * np.abs(c) ** corner
        y = middle[1] - 0.002 + half[1] * np.sign(s) * np.abs(s) ** corner
        rim = np.stack([x, y, front - 3.0 * np.maximum(np.abs(x) - 0.012, 0) ** 2], 1)
        frames.append(tube(rim, wire))
        fan = np.concatenate([rim[:-1], rim.mean(0, keepdims=True) + np.array([0, 0, 0.0015])])
        spokes = np.arange(48)
        lenses.append((fan, np.stack([spokes, (spokes + 1) % 48, np.full(48, 48)], 1)))
        hinge = np.array([middle[0] * 1.04 + side * half[0], middle[1] + 0.006, rim[:, 2].min()])
        hubs.append(np.array([middle[0] * 1.04 - side * half[0], middle[1] + 0.004, front - 0.0005]))
        temple = [hinge, hinge + np.array([side * 0.006, 0.001, -0.006]),
                  [side * (ear_x + 0.004), ear_y + 0.004, -0.06],
                  [side * (ear_x + 0.002), ear_y, -0.085], [side * (ear_x - 0.004), ear_y - 0.022, -0.105]]  # fmt: skip
        frames.append(tube(_smooth(np.array(temple)), wire))
    frames.append(tube(_smooth(np.array([hubs[0], (hubs[0] + hubs[1]) / 2 + [0, 0.003, 0.002], hubs[1]])), wire))
    return [
        dict(zip(("vertices", "faces"), _joined(group), strict=True)) | {"name": name}
        for name, group in (("frame", frames), ("lens", lenses))
    ]


def _smooth(path: np.ndarray) -> np.ndarray:
    t = np.linspace(0, len(path) - 1, 24)
    points = np.stack([np.interp(t, np.arange(len(path)), path[:, k]) for k in range(3)], 1)
    return np.concatenate([path[:1], gaussian_filter(points, (1.2, 0), mode="nearest")[1:-1], path[-1:]])


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0] + [len(v) for v, _ in parts[:-1]])
    return (
        np.concatenate([v for v, _ in parts]).astype(np.float32),
        np.concatenate([f + o for (_, f), o in zip(parts, offsets, strict=True)]),
    )


def stand_off(vertices: np.ndarray, faces: np.ndarray, index: np.ndarray, off: np.ndarray) -> np.ndarray:
    """The cloth's vertices over a posed body (V, 3)."""
    return (vertices[index] + vertex_normals(vertices, faces)[index] * off[:, None]).astype(np.float32)


def make_sleeve(ends: np.ndarray, side: float) -> dict:
    """An arm's stump beyond the open head's cut (n, 3) through a shoulder, on one side (-1 or 1)."""
    middle = ends.mean(0)
    turn = np.arctan2(ends[:, 1] - middle[1], ends[:, 2] - middle[2])
    around = np.linspace(-np.pi, np.pi, 33)
    order = np.argsort(turn)
    ring = np.stack([np.interp(around, turn[order], ends[order, k], period=2 * np.pi) for k in range(3)], 1)
    # Arms hang half way down in the head model's pose.
    rows = [middle + (ring - middle) * (1 - 0.03 * k) + 0.03 * k * np.array([0.6 * side, -0.8, 0]) for k in range(7)]
    points = np.stack(rows, 1)
    return {"vertices": points.reshape(-1, 3).astype(np.float32), "faces": grid_faces(*points.shape[:2])}
