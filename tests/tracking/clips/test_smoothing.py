"""The smoother: no lag, less noise, gaps filled in."""

import numpy as np
import pytest

from backend.tracking.clips.smoothing import smoothed

TIME = np.arange(200) / 25
WAVE = np.sin(2 * np.pi * 0.7 * TIME)[:, None]


def noisy(seed: int = 0) -> np.ndarray:
    return WAVE + np.random.default_rng(seed).normal(0, 0.05, WAVE.shape)


def test_noise_shrinks_and_nothing_lags():
    done = smoothed(TIME, noisy(), np.ones(200), 0.06)
    assert (done - WAVE).std() < 0.6 * (noisy() - WAVE).std()
    fits = [np.corrcoef(np.roll(done[:, 0], shift)[5:-5], WAVE[5:-5, 0])[0, 1] for shift in (-1, 0, 1)]
    assert int(np.argmax(fits)) == 1


def test_time_may_run_backwards():
    forward = smoothed(TIME, noisy(), np.ones(200), 0.06)
    backward = smoothed(TIME, noisy()[::-1], np.ones(200), 0.06)[::-1]
    assert np.allclose(forward, backward, atol=1e-3)


def test_none_is_none():
    assert np.abs(smoothed(TIME, noisy(), np.ones(200), 0.0) - noisy()).max() < 0.01


def test_gaps_are_filled_in_and_ends_held():
    trust = np.ones(200)
    trust[60:66] = trust[:3] = trust[195:] = 0
    values = np.where(trust[:, None] > 0, WAVE, 1e6)
    done = smoothed(TIME, values, trust, 0.03)
    assert np.abs(done[60:66] - WAVE[60:66]).max() < 0.15
    assert (done[:3] == done[3]).all()
    assert (done[195:] == done[194]).all()


@pytest.mark.parametrize("count", [1, 2])
def test_short_shots_stay(count):
    assert np.allclose(smoothed(TIME[:count], noisy()[:count], np.ones(count), 0.1), noisy()[:count])


def test_a_steady_speed_stays():
    line = np.stack([TIME, -2 * TIME], 1)
    assert np.allclose(smoothed(TIME, line, np.ones(200), 0.1), line, atol=1e-3)


def test_nothing_measured_is_refused():
    with pytest.raises(ValueError, match="nothing"):
        smoothed(TIME, noisy(), np.zeros(200), 0.1)
