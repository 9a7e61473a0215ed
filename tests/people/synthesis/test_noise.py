"""sRGB and linear light."""

import numpy as np

from backend.people.synthesis.noise import to_linear, to_srgb


def test_linear_light_and_back():
    x = np.linspace(0, 1, 101)
    np.testing.assert_allclose(to_srgb(to_linear(x[:80])), x[:80], atol=1e-3)
    assert (np.diff(to_srgb(np.linspace(0, 5, 50))) >= 0).all()
