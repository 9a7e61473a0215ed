"""What moves a head: a pose per joint, an expression, a translation."""

from __future__ import annotations

import msgspec
import numpy as np

JOINTS = ("global", "neck", "jaw", "eye_left", "eye_right")
"""FLAME's joints in FLAME's order; left is the person's own left, +x in head space."""


class HeadParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The moving part of FLAME's parameters; the identity belongs to the avatar.

    Attributes:
        pose: axis-angle per joint in the order of `JOINTS`, radians (15 floats). All zero is the rest pose.
        expression: coefficients of the head model's expression basis; zero is the neutral face. Shorter than the
            basis is allowed, the rest is zero.
        translation: metres in head space (3 floats).
    """

    pose: tuple[float, ...] = (0.0,) * 15
    expression: tuple[float, ...] = ()
    translation: tuple[float, ...] = (0.0, 0.0, 0.0)

    @classmethod
    def from_arrays(cls, pose=None, expression=None, translation=None) -> HeadParameters:
        """Build from array-likes of shapes (5, 3), (E,) and (3,); what is None stays at rest."""
        flat = [
            () if a is None else tuple(float(x) for x in np.asarray(a, float).ravel())
            for a in (pose, expression, translation)
        ]
        return cls(flat[0] or (0.0,) * 15, flat[1], flat[2] or (0.0, 0.0, 0.0))

    @property
    def joint_rotations(self) -> np.ndarray:
        """(5, 3) float32 axis-angle."""
        return np.array(self.pose, np.float32).reshape(5, 3)
