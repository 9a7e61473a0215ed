"""A person and all views as arrays that the studio renders: the only thing that passes between the two."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from backend.open_head.joints import sphere_centre
from backend.people.synthesis import eyes, facial_hair, hair, light, paint, teeth, wear
from backend.people.synthesis.anatomy import Anatomy, anatomy_of
from backend.people.synthesis.framing import draw_camera
from backend.people.synthesis.noise import smoothstep, to_linear
from backend.people.synthesis.performance import draw_performance
from backend.people.synthesis.person import Person
from backend.people.synthesis.surface import Refinement, rigid_motion
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from flame import HeadModel

JAW_ACTIONS = ("jawOpen", "jawForward", "jawLeft", "jawRight", "mouthClose")


@dataclass(frozen=True, eq=False)
class View:
    """One picture to take.

    Attributes:
        camera: over head space. angles: (2,) yaw and pitch off the front, degrees.
        play: the name of what the face does. parameters: the head's.
        vertices: (V, 3) the head model's vertices. landmarks: (478, 3) on them.
    """

    camera: Camera
    angles: np.ndarray
    play: str
    parameters: HeadParameters
    vertices: np.ndarray
    landmarks: np.ndarray


class Scene:
    """Collects meshes, strands, images and lamps, and writes them as one .npz that `studio` reads."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.description: dict = {"meshes": [], "strands": [], "lamps": [], "views": []}

    def mesh(
        self, name: str, positions: list[np.ndarray], faces: np.ndarray, material: dict, **values: np.ndarray
    ) -> None:
        """A mesh with its vertices in each view; `values` are per vertex, (n,), (n, 2) for uv or (n, 3)."""
        self._add("meshes", name, positions, material, faces=faces.astype(np.int32), **values)

    def hairs(self, name: str, positions: list[np.ndarray], radius: float, material: dict) -> None:
        """Strands (n, P, 3) in each view."""
        self._add("strands", name, positions, material | {"radius": radius})

    def image(self, name: str, pixels: np.ndarray) -> None:
        """(H, W, 3) linear, row 0 on top."""
        self.arrays[f"image/{name}"] = pixels.astype(np.float32)

    def write(self, path: Path) -> None:
        """Write the scene for the studio."""
        np.savez(path, description=np.array(json.dumps(self.description)), **self.arrays)

    def _add(self, kind: str, name: str, positions: list[np.ndarray], material: dict, **values: np.ndarray) -> None:
        self.description[kind].append({"name": name, "material": material, "values": sorted(values)})
        for k, points in enumerate(positions):
            self.arrays[f"{kind}/{name}/{k}"] = points.astype(np.float32)
        for key, value in values.items():
            self.arrays[f"{kind}/{name}/{key}"] = value if value.dtype == np.int32 else value.astype(np.float32)


def draw_views(person: Person, model: HeadModel, count: int, size: int) -> list[View]:
    """The portrait and `count` other views, of which two and two show one moment, every other time the portrait's."""
    own = replace(model, v_template=person.shape.vertices)
    anatomy = anatomy_of(model)
    front = (anatomy.template[:, 1] > anatomy.chin) & (anatomy.template[:, 1] < anatomy.landmarks[10, 1])
    front &= anatomy.template[:, 2] > anatomy.landmarks[234, 2]
    views: list[View] = []
    for k in range(count + 1):
        rng = np.random.default_rng([person.seed, 2000, k])
        play, parameters = draw_performance(rng, model, portrait=k == 0)
        shared = first_of_moment(k)
        if shared < k:
            play, parameters = views[shared].play, views[shared].parameters
        head = own.forward(None, parameters.expression, parameters.joint_rotations).vertices
        skull = rigid_motion(person.shape.vertices[anatomy.ears], head[anatomy.ears])
        camera, angles = draw_camera(rng, head[front], skull.rotation, size, person.seed, k)
        views.append(View(camera, angles, play, parameters, head, model.landmark_positions(head)))
    return views


def first_of_moment(view: int) -> int:
    """The first view that shows what the head does in a view: 0 in 1, 2, 5, 6, 9, 10, ...; 3 in 4; 7 in 8; ..."""
    pair, second = divmod(view - 1, 2)
    return 0 if view == 0 or pair % 2 == 0 else view - second


def build_scene(person: Person, model: HeadModel, views: list[View]) -> tuple[Scene, np.ndarray, bool]:
    """Everything that is seen, the sky, and whether the person stands in it rather than before a wall."""
    anatomy, rest = anatomy_of(model), person.shape.vertices
    scene = Scene()
    motions = [_Motions(model, anatomy, rest, view) for view in views]
    _add_body(scene, person, model, anatomy, views)
    _add_eyes(scene, person, model, anatomy, rest, motions)
    _add_teeth(scene, person, model, rest, motions)
    _add_hair(scene, person, model, anatomy, views, motions)
    _add_wear(scene, person, model, anatomy, views, motions)
    rng = person.rng(30)
    kind, sky = light.draw_sky(rng)
    rig, lamps = light.draw_rig(rng)
    scene.image("sky", sky)
    scene.description |= {
        "lamps": lamps,
        "rig": rig,
        "sky": kind,
        "sky_strength": float(rng.uniform(0.35, 0.8) if lamps else 1.6),
    }
    portrait = views[0].vertices[anatomy.ears]
    for view in views:
        camera = view.camera
        scene.description["views"].append(
            {
                "K": list(camera.K),
                "world_to_camera": list(camera.world_to_camera),
                "size": camera.width,
                # The light goes with the head: a photo does not tell how it would fall on the head when that turns,
                # and an avatar of the photo keeps what fell on it.
                "light": rigid_motion(portrait, view.vertices[anatomy.ears]).matrix.ravel().tolist(),
            }
        )
    return scene, sky, bool(rng.random() < (0.75 if kind in ("overcast", "sunny", "dusk") else 0.3))


class _Motions:
    """How the parts that no expression bends move in a view."""

    def __init__(self, model: HeadModel, anatomy: Anatomy, rest: np.ndarray, view: View) -> None:
        self.head = rigid_motion(rest[anatomy.ears], view.vertices[anatomy.ears])
        torso = anatomy.head_weight < 0.02
        self.torso = rigid_motion(rest[torso], view.vertices[torso])
        self.eyes = [
            rigid_motion(rest[model.regions[f"eye_{side}"]], view.vertices[model.regions[f"eye_{side}"]])
            for side in ("left", "right")
        ]
        # The teeth follow what the jaw's bone does, not the lips.
        jaw = model.lbs_weights[:, 2] > 0.97
        jaw[model.regions.get("tongue", [])] = False
        moves = np.array(view.parameters.expression, np.float32)
        keep = np.isin(model.expression_names, JAW_ACTIONS[:4])
        own = replace(model, v_template=rest)
        bone = own.forward(None, np.where(keep, moves, 0), view.parameters.joint_rotations).vertices
        self.jaw = rigid_motion(rest[jaw], bone[jaw])
        self._low, self._high = anatomy.chin - 0.16, anatomy.chin - 0.02

    def hanging(self, points: np.ndarray) -> np.ndarray:
        """Hair: with the head, and from the neck down more and more with the torso."""
        share = smoothstep(points[..., 1:2], self._low, self._high)
        return share * self.head(points) + (1 - share) * self.torso(points)


def _add_body(scene: Scene, person: Person, model: HeadModel, anatomy: Anatomy, views: list[View]) -> None:
    faces = model.faces[~(anatomy.eye_left | anatomy.eye_right)[model.faces].any(1)]
    fine = Refinement.of(faces, len(anatomy.template))
    color, relief = paint.paint_skin(person, anatomy)
    scene.image("skin", color)
    scene.image("relief", relief)
    front = smoothstep(anatomy.template[:, 2], anatomy.landmarks[234, 2] - 0.02, anatomy.landmarks[234, 2] + 0.015)
    front[anatomy.ears] = 0
    shadow = hair.scalp(person, anatomy) if person.hair != "bald" else 0 * front
    wet = anatomy.mouth.astype(float)
    tongue = np.zeros(len(front))
    tongue[model.regions.get("tongue", [])] = 1
    material = {
        "kind": "skin",
        "base": to_linear(person.traits.skin).tolist(),
        "scalp": to_linear(0.72 * person.traits.hair + 0.08 * person.traits.skin).tolist(),
        "scalp_share": 0.93 if person.hair not in ("bald", "balding", "buzz") else 0.35,
        "roughness": float(0.62 - 1.2 * person.traits.shine),
        "pores": float(person.traits.pores),
    }
    scene.mesh(
        "body", [fine.positions(v.vertices, model.faces) for v in views], fine.faces, material,
        uv=fine.values(paint.plane(anatomy.template, anatomy)), place=fine.values(anatomy.template),
        front=fine.values(front), hair_shadow=fine.values(shadow), wet=fine.values(wet), tongue=fine.values(tongue),
    )  # fmt: skip


def _add_eyes(
    scene: Scene, person: Person, model: HeadModel, anatomy: Anatomy, rest: np.ndarray, motions: list[_Motions]
) -> None:
    rng = person.rng(31)
    for k, side in enumerate(("left", "right")):
        ball_points = rest[model.regions[f"eye_{side}"]]
        # Beyond the components the joints' regressor is only near the ball's middle: lids would cut into it.
        centre = sphere_centre(ball_points)
        radius = float(np.median(np.linalg.norm(ball_points - centre, axis=1)))
        if k == 0:
            scene.image("eye", to_linear(eyes.paint_eye(rng, person.traits.iris, radius)[::-1]))
        ball, cornea = eyes.make_eye(radius)
        for name, part, kind in ((f"ball_{side}", ball, "eye"), (f"cornea_{side}", cornea, "clear")):
            placed = [motion.eyes[k](part["vertices"] + centre) for motion in motions]
            scene.mesh(name, placed, part["faces"], {"kind": kind}, **({"uv": part["uv"]} if "uv" in part else {}))


def _add_teeth(scene: Scene, person: Person, model: HeadModel, rest: np.ndarray, motions: list[_Motions]) -> None:
    rng = person.rng(32)
    marks = model.landmark_positions(rest)
    inner, width = (marks[13] + marks[14]) / 2, np.linalg.norm(marks[78] - marks[308]) / 2
    half = float(np.clip(1.02 * width, 0.022, 0.028))
    white = to_linear(np.array([0.93, 0.90, 0.84]) * rng.uniform(0.86, 1.0))
    for upper in (True, False):
        edge = inner + (np.array([0, -0.0015, -0.0080]) if upper else np.array([0, -0.0020, -0.0115]))
        edge[0] = 0
        arch = teeth.make_arch(rng, edge, half if upper else half * 0.92, upper)
        for name, part in arch.items():
            placed = [(m.head if upper else m.jaw)(part["vertices"]) for m in motions]
            color = white if name == "teeth" else to_linear(np.array([0.62, 0.30, 0.30]))
            material = {
                "kind": "plain",
                "color": color.tolist(),
                "roughness": 0.25 if name == "teeth" else 0.35,
                "soft": 0.002,
            }
            scene.mesh(f"{name}_{'upper' if upper else 'lower'}", placed, part["faces"], material)


def _add_hair(
    scene: Scene, person: Person, model: HeadModel, anatomy: Anatomy, views: list[View], motions: list[_Motions]
) -> None:
    rest, faces = person.shape.vertices, model.faces
    marks = model.landmark_positions(rest)
    color = to_linear(person.traits.hair)
    grown = hair.grow_hair(person, anatomy, rest, faces)
    strand = {"kind": "hair", "color": color.tolist(), "grey": person.grey}
    if grown is not None and len(grown[0]):
        scene.hairs("hair", [m.hanging(grown[0]) for m in motions], grown[1], strand)
    lash = {"kind": "hair", "color": [0.006, 0.005, 0.005] if person.make_up else (0.35 * color).tolist(), "grey": 0.0}
    for name, short, radius, material in (
        (
            "brows",
            facial_hair.grow_brows(person, anatomy, rest, faces, marks),
            0.00007,
            strand | {"color": (0.9 * color).tolist()},
        ),
        (
            "lashes",
            facial_hair.grow_lashes(person, anatomy, rest, faces, marks),
            0.00007 + 0.00004 * bool(person.make_up),
            lash,
        ),
        (
            "beard",
            facial_hair.grow_beard(person, anatomy, rest, faces),
            0.0001,
            strand | {"color": (0.85 * color).tolist()},
        ),
    ):
        if short is None or not len(short[1]):
            continue
        roots, strands = short
        base, frames = roots.on(rest, faces), roots.frames(rest, faces)
        local = np.einsum("nij,npi->npj", frames, strands - base[:, None])
        moved = [
            roots.on(v.vertices, faces)[:, None] + np.einsum("nij,npj->npi", roots.frames(v.vertices, faces), local)
            for v in views
        ]
        scene.hairs(name, moved, radius, material)


def _add_wear(
    scene: Scene, person: Person, model: HeadModel, anatomy: Anatomy, views: list[View], motions: list[_Motions]
) -> None:
    rest, rng = person.shape.vertices, person.rng(33)
    cloth = wear.dress(person, anatomy, rest, model.faces)
    fine = Refinement.of(cloth["faces"], len(cloth["index"]))
    place = anatomy.template[cloth["index"]]
    fabric = {
        "kind": "cloth",
        "color": to_linear(person.traits.cloth[0]).tolist(),
        "second": to_linear(person.traits.cloth[1]).tolist(),
        "pattern": str(rng.choice(["plain", "stripes", "knit", "checks"], p=[0.55, 0.15, 0.2, 0.1])),
        "scale": float(rng.uniform(20, 70)),
    }
    positions = [
        fine.positions(wear.stand_off(v.vertices, model.faces, cloth["index"], cloth["off"]), cloth["faces"])
        for v in views
    ]
    scene.mesh("cloth", positions, fine.faces, fabric, place=fine.values(place), edge=fine.values(cloth["edge"]))
    collar = wear.make_collar(person, anatomy, rest, model.faces)
    band = fabric | {"pattern": "knit" if fabric["pattern"] == "knit" else "plain"}
    scene.mesh(
        "collar", [m.hanging(collar["vertices"]) for m in motions], collar["faces"], band, place=collar["vertices"]
    )
    felt = fabric | {"color": to_linear(np.clip(rng.uniform(0.05, 0.8) * rng.uniform(0.6, 1.2, 3), 0.02, 0.9)).tolist(),
                     "pattern": "knit" if person.hat == "beanie" else "plain"}  # fmt: skip
    for hat in wear.make_hat(person, anatomy, rest):
        scene.mesh(hat["name"], [m.head(hat["vertices"]) for m in motions], hat["faces"], felt, place=hat["vertices"])
    dark = person.glasses == "sun"
    metal = person.glasses in ("wire", "round")
    frame = rng.choice([[0.02, 0.02, 0.02], [0.10, 0.04, 0.02], [0.35, 0.28, 0.18], [0.3, 0.3, 0.32]])
    for part in wear.make_glasses(person, anatomy, rest, model.landmark_positions(rest)):
        material = (
            {"kind": "plain", "color": [float(c) for c in frame], "roughness": 0.25, "metallic": float(metal)}
            if part["name"] == "frame"
            else {"kind": "clear", "tint": 0.12 if dark else 0.97, "roughness": 0.10}
        )
        scene.mesh(part["name"], [m.head(part["vertices"]) for m in motions], part["faces"], material)
