"""Smoothing that does not lag: a Kalman smoother over a whole shot, which also fills its gaps (Rauch et al. 1965)."""

from __future__ import annotations

import numpy as np

LEAST_TRUST = 1e-6
DAMPING = 0.15
"""Seconds in which a motion that is not seen comes to rest."""


def smoothed(time: np.ndarray, values: np.ndarray, trust: np.ndarray, seconds: float) -> np.ndarray:
    """Values (N, C) without their noise.

    The model is a place with a speed that white noise changes and friction slows; all channels share it, so the gains
    are computed once. Forward in time it filters, backward it smooths: no frame is late.

    Args:
        time: (N,) seconds, growing.
        values: what was measured; anything where trust is 0.
        trust: (N,) in [0, 1].
        seconds: the span over which noise is averaged out; 0 for none.
    """
    count = len(time)
    known = trust > LEAST_TRUST
    if not known.any():
        raise ValueError("nothing was measured")
    values = np.where(known[:, None], values, 0.0)
    if count < 3:
        first = values[known][0]
        return np.where(known[:, None], values, first)
    steps = np.maximum(np.diff(time), 1e-6)
    usual = float(np.median(steps))
    # In units of the measurements' noise; by this density a steady motion is averaged over about `seconds`.
    density = usual / max(seconds, usual / 20) ** 4
    noise = 1 / np.maximum(trust, LEAST_TRUST)

    start = int(np.argmax(known))
    mean, cov = np.stack([values[start], np.zeros(values.shape[1])]), np.diag([1e4, 1e4 / usual**2])
    means, covs, predicted, predicted_covs, moves = [], [], [], [], []
    for row in range(count):
        if row:
            dt = steps[row - 1]
            # Friction works only where nothing is seen.
            slow = 1.0 if known[row] else np.exp(-dt / DAMPING)
            move = np.array([[1.0, dt], [0.0, slow]])
            spread = density * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
            mean, cov = move @ mean, move @ cov @ move.T + spread
            moves.append(move)
        predicted.append(mean)
        predicted_covs.append(cov)
        if known[row]:
            gain = cov[:, :1] / (cov[0, 0] + noise[row])
            mean = mean + gain * (values[row] - mean[0])
            keep = np.eye(2) - gain @ np.array([[1.0, 0.0]])
            # Joseph's form stays positive.
            cov = keep @ cov @ keep.T + gain @ gain.T * noise[row]
        means.append(mean)
        covs.append(cov)
    result = np.empty_like(values)
    mean = means[-1]
    result[-1] = mean[0]
    for row in range(count - 2, -1, -1):
        back = np.linalg.solve(predicted_covs[row + 1], moves[row] @ covs[row]).T
        mean = means[row] + back @ (mean - predicted[row + 1])
        result[row] = mean[0]
    # Before the first and after the last sight there is nothing to go by.
    end = count - 1 - int(np.argmax(known[::-1]))
    result[:start], result[end + 1 :] = result[start], result[end]
    return result
