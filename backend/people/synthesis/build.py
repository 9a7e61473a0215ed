"""A person's scene: all parts, the light that goes with the head, and the cameras."""

from __future__ import annotations

from backend.people.synthesis import body, clothing, growth, light
from backend.people.synthesis.figure import Figure
from backend.people.synthesis.identity import ShapeSource
from backend.people.synthesis.light import Surroundings
from backend.people.synthesis.person import Person
from backend.people.synthesis.scene import Scene
from backend.people.synthesis.surface import rigid_motion
from backend.people.synthesis.views import SyntheticView, first_of_moment, moments_of

PARTS = (
    body.add_body, body.add_arms, body.add_eyes, body.add_teeth, growth.add_hair, growth.add_facial_hair,
    clothing.add_clothes, clothing.add_headwear, clothing.add_glasses,
)  # fmt: skip


def build_scene(person: Person, shapes: ShapeSource, views: list[SyntheticView], surroundings: Surroundings) -> Scene:
    """Everything that is seen in a person's views.

    Args:
        shapes: where the person's head came from.
    """
    figure = Figure.of(person, shapes, views)
    for add in PARTS:
        add(figure)
    scene = figure.scene
    rig, lamps, strength = light.draw_rig(person.rng(30), surroundings.photographed)
    scene.image("sky", surroundings.light)
    scene.description |= {"lamps": lamps, "rig": rig, "sky": surroundings.name, "sky_strength": strength}
    ears, moments = figure.anatomy.ears, moments_of(views)
    for k, view in enumerate(views):
        scene.description["views"].append(
            {
                "K": list(view.camera.K),
                "world_to_camera": list(view.camera.world_to_camera),
                "size": view.camera.width,
                "moment": moments.index(first_of_moment(k)),
                # The light goes with the head: a photo does not tell how it would fall on the head when that turns,
                # and an avatar of the photo keeps what fell on it.
                "light": rigid_motion(views[0].vertices[ears], view.vertices[ears]).matrix.ravel().tolist(),
            }
        )
    return scene
