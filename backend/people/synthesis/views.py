"""What is filmed of a person: the portrait and the other views, each with its camera and what the head does in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from backend.people.synthesis.anatomy import anatomy_of
from backend.people.synthesis.expressions import draw_performance
from backend.people.synthesis.framing import draw_camera
from backend.people.synthesis.person import Person
from backend.people.synthesis.surface import rigid_motion
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from flame import HeadModel

TOGETHER = 3
"""Views of one moment, one of each band of yaw."""
SMALLEST = 256


@dataclass(frozen=True, eq=False)
class SyntheticView:
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


def draw_views(person: Person, model: HeadModel, count: int, size: int) -> list[SyntheticView]:
    """The portrait and `count` other views; of every six the first three show its moment, the others one of their own.

    Args:
        size: pixels of the portrait; the others have half of it, if that is not less than 256.
    """
    own = replace(model, v_template=person.shape.vertices)
    anatomy = anatomy_of(model)
    front = (anatomy.template[:, 1] > anatomy.chin) & (anatomy.template[:, 1] < anatomy.landmarks[10, 1])
    front &= anatomy.template[:, 2] > anatomy.landmarks[234, 2]
    views: list[SyntheticView] = []
    for k in range(count + 1):
        rng = np.random.default_rng([person.seed, 2000, k])
        play, parameters = draw_performance(rng, model, portrait=k == 0)
        shared = first_of_moment(k)
        if shared < k:
            play, parameters = views[shared].play, views[shared].parameters
        head = own.forward(None, np.array(parameters.expression), parameters.joint_rotations).vertices
        skull = rigid_motion(person.shape.vertices[anatomy.ears], head[anatomy.ears])
        camera, angles = draw_camera(
            rng, head[front], skull.rotation, size if k == 0 else max(SMALLEST, size // 2), person.seed, k
        )
        views.append(SyntheticView(camera, angles, play, parameters, head, model.landmark_positions(head)))
    return views


def first_of_moment(view: int) -> int:
    """The first view that shows what the head does in a view: 0 in 1 to 3, 4 in 5 and 6, 0 in 7 to 9, 10 in 11, ..."""
    group, place = divmod(view - 1, 2 * TOGETHER)
    return 0 if view == 0 or place < TOGETHER else group * 2 * TOGETHER + TOGETHER + 1


def moments_of(views: list[SyntheticView]) -> list[int]:
    """The first views of all moments, in their order."""
    return sorted({first_of_moment(k) for k in range(len(views))})
