"""Shaping functions."""

import numpy as np

from backend.people.synthesis.noise import smoothstep, to_linear, to_srgb


def test_shaping_functions():
    x = np.linspace(0, 1, 101)
    np.testing.assert_allclose(to_srgb(to_linear(x[:80])), x[:80], atol=1e-3)
    assert (np.diff(to_srgb(np.linspace(0, 5, 50))) >= 0).all()
    assert smoothstep(np.array([-1.0, 0.5, 2.0]), 0, 1).tolist() == [0, 0.5, 1]
    assert smoothstep(np.array([0.0, 1.0]), 1, 0).tolist() == [1, 0]
