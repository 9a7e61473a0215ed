"""A made-up model in FLAME's format: 5,023 vertices, 300 + 100 components, the same keys, types and joint chain."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

NUM_VERTICES, NUM_SHAPE, NUM_EXPRESSION = 5023, 300, 100
PARENTS = np.array([[4294967295, 0, 1, 1, 1], range(5)], np.uint32)


def flame_arrays(num_vertices: int = NUM_VERTICES, num_components: int = NUM_SHAPE + NUM_EXPRESSION) -> dict:
    """FLAME's keys with random but sensible values (a head is some 0.2 m large)."""
    rng = np.random.default_rng(5)
    regressor = rng.random((5, num_vertices)) * (rng.random((5, num_vertices)) < 0.02)
    regressor[:, 0] += 0.01
    return {
        "v_template": 0.1 * rng.standard_normal((num_vertices, 3)),
        "f": rng.integers(0, num_vertices, (2 * num_vertices, 3)).astype(np.uint32),
        "shapedirs": 2e-3 * rng.standard_normal((num_vertices, 3, num_components)),
        "posedirs": 1e-3 * rng.standard_normal((num_vertices, 3, 36)),
        "J_regressor": sp.csc_matrix(regressor / regressor.sum(1, keepdims=True)),
        "kintree_table": PARENTS,
        "weights": rng.dirichlet(np.ones(5), num_vertices),
    }


def random_parameters(seed: int) -> dict[str, np.ndarray]:
    """Coefficients, pose and translation for `HeadModel.forward`."""
    rng = np.random.default_rng(seed)
    return {
        "betas": rng.standard_normal(NUM_SHAPE),
        "expression": rng.standard_normal(NUM_EXPRESSION),
        "pose": 0.6 * rng.standard_normal((5, 3)),
        "translation": rng.standard_normal(3),
    }
