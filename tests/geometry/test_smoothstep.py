"""The smooth step between two values."""

import numpy as np

from backend.geometry.smoothstep import smoothstep


def test_it_rises_between_two_values_or_falls():
    assert smoothstep(np.array([-1.0, 0.5, 2.0])).tolist() == [0, 0.5, 1]
    assert smoothstep(np.array([0.0, 1.0]), 1, 0).tolist() == [1, 0]
    assert smoothstep(np.array([2.0, 3.0, 4.0]), 2, 4).tolist() == [0, 0.5, 1]
