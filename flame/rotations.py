"""Rotations between their forms, in numpy, over any leading shape."""

from __future__ import annotations

import numpy as np


def skew(vector: np.ndarray) -> np.ndarray:
    """The cross product matrices (..., 3, 3) of vectors (..., 3): skew(a) @ b = a x b."""
    vector = np.asarray(vector)
    matrix = np.zeros((*vector.shape, 3), vector.dtype)
    matrix[..., 0, 1], matrix[..., 0, 2], matrix[..., 1, 2] = -vector[..., 2], vector[..., 1], -vector[..., 0]
    return matrix - np.swapaxes(matrix, -1, -2)


def axis_angle_to_matrix(axis_angle: np.ndarray) -> np.ndarray:
    """Rodrigues' formula: axis-angle (..., 3), radians, to rotation matrices (..., 3, 3), float64."""
    axis_angle = np.asarray(axis_angle, float)
    # sinc keeps both factors exact at zero: sin(t)/t, and (1 - cos t)/t^2 = sinc^2(t/2) / 2.
    angle = np.linalg.norm(axis_angle, axis=-1)[..., None, None]
    K = skew(axis_angle)
    return np.eye(3) + np.sinc(angle / np.pi) * K + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * (K @ K)


def matrix_to_axis_angle(matrix: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) to axis-angle (..., 3), radians, with an angle in [0, pi], float64."""
    quaternion = matrix_to_quaternion(matrix)
    quaternion = np.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    half_sine = np.linalg.norm(quaternion[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(half_sine, quaternion[..., :1])
    scale = np.where(half_sine > 1e-12, angle / np.maximum(half_sine, 1e-12), 2.0)
    return quaternion[..., 1:] * scale


def matrix_to_quaternion(matrix: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) to unit quaternions (..., 4), w first.

    By the largest of the four candidates, which stays accurate for every angle (Shepperd 1978).
    """
    m = np.moveaxis(np.asarray(matrix, float), (-2, -1), (0, 1))
    xx, yy, zz = m[0, 0], m[1, 1], m[2, 2]
    wx, wy, wz = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    xy, xz, yz = m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1]
    # Row i is the quaternion times 4 q_i; the row of the largest q_i has the least rounding.
    rows = np.array(
        [
            [1 + xx + yy + zz, wx, wy, wz],
            [wx, 1 + xx - yy - zz, xy, xz],
            [wy, xy, 1 - xx + yy - zz, yz],
            [wz, xz, yz, 1 - xx - yy + zz],
        ]
    )
    rows = np.moveaxis(rows, (0, 1), (-2, -1))
    best = np.argmax(np.einsum("...ii->...i", rows), axis=-1)
    row = np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :]
    return row / np.linalg.norm(row, axis=-1, keepdims=True)
