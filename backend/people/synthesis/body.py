"""The body with its skin, the eyes and the teeth."""

from __future__ import annotations

import numpy as np

from backend.geometry.smoothstep import smoothstep
from backend.people.open_head.joints import sphere_centre
from backend.people.synthesis import dressing, eyes, hair, paint, teeth
from backend.people.synthesis.figure import Figure
from backend.people.synthesis.noise import to_linear
from backend.people.synthesis.surface import Subdivision

PARTS = ("skin", "ears", "neck", "mouth", "hair")
"""Of the skin, by the labels of `files.LABELS`."""
HAIRY = 0.5
"""Density of hair from which on the skin under it counts as hair."""
ARM = 0.236
"""Metres from the middle to where arms begin."""
SCALP_SHARE = {"bald": 0.0, "balding": 0.25, "buzz": 0.55, "fade": 0.55, "crop": 0.8}
"""How much of the hair's colour the skin under it takes; where hair is long, nearly all."""


def add_body(figure: Figure) -> None:
    """The skin, without what clothes hide."""
    person, model, anatomy, wardrobe = figure.person, figure.model, figure.anatomy, figure.person.wardrobe
    hidden = anatomy.eye_left | anatomy.eye_right
    shown = ~hidden[model.faces].any(1)
    if wardrobe and wardrobe.garment:
        # What the open head's cut made is at the rim of what is covered.
        covered = np.isin(figure.base_vertex, wardrobe.garment[0].mesh().hides) | (figure.base_vertex < 0)
        shown &= ~covered[model.faces].all(1)
    faces = model.faces[shown]
    fine = Subdivision.of(faces, len(anatomy.template))
    color, relief = paint.paint_skin(person, anatomy)
    figure.scene.image("skin", color)
    figure.scene.image("relief", relief)
    front = smoothstep(anatomy.template[:, 2], anatomy.landmarks[234, 2] - 0.02, anatomy.landmarks[234, 2] + 0.015)
    front[anatomy.ears] = 0
    tongue = np.zeros(len(front))
    tongue[model.regions.get("tongue", [])] = 1
    material = skin_material(figure)
    values = {}
    if wardrobe and model.vt is not None and model.ft is not None:
        values["corner_uv"] = fine.corners(model.vt[model.ft[shown]])
    figure.scene.mesh(
        "body", [fine.positions(v.vertices, model.faces) for v in figure.moments], fine.faces,
        [material | {"label": label} for label in PARTS], part=np.tile(_parts(figure, faces), 4).astype(np.int32),
        uv=fine.values(paint.plane(anatomy.template, anatomy)), place=fine.values(anatomy.template),
        front=fine.values(front), hair_shadow=fine.values(hair.scalp(person, anatomy)),
        wet=fine.values(anatomy.mouth.astype(float)), tongue=fine.values(tongue), **values,
    )  # fmt: skip


def skin_material(figure: Figure) -> dict:
    """Two photographs of skin blended, or an even colour."""
    person, wardrobe = figure.person, figure.person.wardrobe
    return {
        "kind": "skin",
        "skins": [str(skin.diffuse) for skin in wardrobe.skins] if wardrobe else [],
        "share": wardrobe.share if wardrobe else 0.0,
        "tint": [float(t) for t in wardrobe.tint] if wardrobe else [1.0, 1.0, 1.0],
        "base": to_linear(person.traits.skin).tolist(),
        "scalp": to_linear(0.72 * person.traits.hair + 0.08 * person.traits.skin).tolist(),
        "scalp_share": SCALP_SHARE.get(person.hair, 0.93),
        "roughness": float(0.62 - 1.2 * person.traits.shine),
        "pores": float(person.traits.pores),
    }


def add_arms(figure: Figure) -> None:
    """The arms' beginning, which the open head lacks and short sleeves show."""
    wardrobe = figure.person.wardrobe
    body = figure.base_body
    if wardrobe is None or wardrobe.garment is None or body is None:
        return
    base = figure.base
    seen = (np.abs(base[:, 0]) > ARM) & (base[:, 1] > dressing.FLOOR)
    seen[wardrobe.garment[0].mesh().hides] = False
    kept = seen[body.faces].any(1)
    if not kept.any():
        return
    used, faces = np.unique(body.faces[kept], return_inverse=True)
    positions = [motion.torso(base[used]) for motion in figure.motions]
    material = skin_material(figure) | {"label": "neck"}
    figure.scene.mesh("arms", positions, faces.reshape(-1, 3), material, corner_uv=body.uv[body.uv_faces[kept]])


def _parts(figure: Figure, faces: np.ndarray) -> np.ndarray:
    """(F,) which of `PARTS` a face is."""
    anatomy, regions = figure.anatomy, figure.model.regions
    low = np.zeros(len(anatomy.template), bool)
    low[np.concatenate([regions.get("neck", []), regions.get("torso", [])]).astype(int)] = True
    parts = np.zeros(len(faces), int)
    for number, mask in ((1, anatomy.auricles), (2, low), (3, anatomy.mouth)):
        parts[mask[faces].sum(1) >= 2] = number
    if figure.person.hair not in ("bald", "balding"):
        # Between the roots of hair skin is seen; a region of hair has no such holes.
        parts[hair.scalp(figure.person, anatomy)[faces].min(1) > HAIRY] = 4
    return parts


def add_eyes(figure: Figure) -> None:
    """Balls and corneas."""
    person, rng = figure.person, figure.person.rng(31)
    for k, side in enumerate(("left", "right")):
        ball_points = figure.rest[figure.model.regions[f"eye_{side}"]]
        # Beyond the components the joints' regressor is only near the ball's middle: lids would cut into it.
        centre = sphere_centre(ball_points)
        radius = float(np.median(np.linalg.norm(ball_points - centre, axis=1)))
        if k == 0:
            photo = person.wardrobe and person.wardrobe.eye
            painted = (
                eyes.photographed_eye(rng, photo.diffuse, radius)
                if photo
                else eyes.paint_eye(rng, person.traits.iris, radius)
            )
            figure.scene.image("eye", to_linear(painted[::-1]))
        ball, cornea = eyes.make_eye(radius)
        for name, part, kind in ((f"ball_{side}", ball, "eye"), (f"cornea_{side}", cornea, "clear")):
            placed = [motion.eyes[k](part["vertices"] + centre) for motion in figure.motions]
            values = {"uv": part["uv"]} if "uv" in part else {}
            figure.scene.mesh(name, placed, part["faces"], {"kind": kind, "label": "eyes"}, **values)


def add_teeth(figure: Figure) -> None:
    """Teeth and gums: MakeHuman's, or modelled ones."""
    wardrobe = figure.person.wardrobe
    if wardrobe is None:
        _add_modelled_teeth(figure)
        return
    mesh = wardrobe.teeth.mesh()
    points = mesh.fit(figure.base)
    # The lower ones are those that the middle of the mesh lies above.
    lower = _lower_half(mesh.faces, points)
    positions = [np.where(lower[:, None], m.jaw(points), m.head(points)) for m in figure.motions]
    material = {"kind": "teeth", "label": "mouth", "image": str(wardrobe.teeth.materials[0].diffuse)}
    figure.scene.mesh("teeth", positions, mesh.faces, material, corner_uv=mesh.uv[mesh.uv_faces])


def _lower_half(faces: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n,) bool: of the pieces that hang together, those below the middle between the highest and the lowest piece."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ends = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_matrix((np.ones(len(ends)), ends.T), (len(points),) * 2)
    _, piece = connected_components(graph, directed=False)
    height = np.bincount(piece, points[:, 1]) / np.bincount(piece)
    return (height < (height.min() + height.max()) / 2)[piece]


def _add_modelled_teeth(figure: Figure) -> None:
    rng, marks = figure.person.rng(32), figure.model.landmark_positions(figure.rest)
    inner, width = (marks[13] + marks[14]) / 2, np.linalg.norm(marks[78] - marks[308]) / 2
    half = float(np.clip(1.02 * width, 0.022, 0.028))
    white = to_linear(np.array([0.93, 0.90, 0.84]) * rng.uniform(0.86, 1.0))
    for upper in (True, False):
        edge = inner + (np.array([0, -0.0015, -0.0080]) if upper else np.array([0, -0.0020, -0.0115]))
        edge[0] = 0
        arch = teeth.make_arch(rng, edge, half if upper else half * 0.92, upper)
        for name, part in arch.items():
            placed = [(m.head if upper else m.jaw)(part["vertices"]) for m in figure.motions]
            color = white if name == "teeth" else to_linear(np.array([0.62, 0.30, 0.30]))
            material = {
                "kind": "plain",
                "label": "mouth",
                "color": color.tolist(),
                "roughness": 0.25 if name == "teeth" else 0.35,
                "soft": 0.002,
            }
            figure.scene.mesh(f"{name}_{'upper' if upper else 'lower'}", placed, part["faces"], material)
