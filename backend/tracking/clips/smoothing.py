"""Smoothing: a Kalman smoother over a whole shot, which lags nowhere and fills gaps, and a filter for what is live."""

from __future__ import annotations

import numpy as np

LEAST_TRUST = 1e-6
DAMPING = 0.15
"""Seconds in which a motion that is not seen comes to rest."""


def smoothed(time: np.ndarray, values: np.ndarray, trust: np.ndarray, seconds: float) -> np.ndarray:
    """Values (N, C) without their noise, by Rauch et al.'s smoother (1965).

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


class OneEuro:
    """The one-euro filter (Casiez et al. 2012): a low pass that opens as a value moves, so that motion hardly lags."""

    SPEED_CUTOFF = 1.0
    """Hz, of the filter of the speeds, as in the paper."""

    def __init__(self, cutoff: np.ndarray, slope: np.ndarray) -> None:
        """Both (C,): Hz at rest, and Hz more per unit a second."""
        self._cutoff, self._slope = cutoff, slope
        self._at = 0.0
        self._value: np.ndarray | None = None
        self._speed = np.zeros(len(cutoff))

    def next(self, time: float, values: np.ndarray) -> np.ndarray:
        """(C,) the values at a later time (seconds), filtered."""
        if self._value is None:
            self._at, self._value = time, values
            return values
        step = max(time - self._at, 1e-4)
        speed = (values - self._value) / step
        self._speed = self._speed + _share(self.SPEED_CUTOFF, step) * (speed - self._speed)
        cutoff = self._cutoff + self._slope * np.abs(self._speed)
        self._value = self._value + _share(cutoff, step) * (values - self._value)
        self._at = time
        return self._value


def _share(cutoff: np.ndarray | float, step: float) -> np.ndarray | float:
    """Of a new value in a low pass of first order: cutoff in Hz, step in seconds."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * step))
