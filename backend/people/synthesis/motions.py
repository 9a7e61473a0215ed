"""How the parts of a person move that no expression bends: skull, torso, eyes, teeth, and what hangs from the head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backend.geometry.smoothstep import smoothstep
from backend.people.synthesis.anatomy import HeadAnatomy
from backend.people.synthesis.surface import rigid_motion
from backend.people.synthesis.views import SyntheticView
from flame import HeadModel

JAW_ACTIONS = ("jawOpen", "jawForward", "jawLeft", "jawRight")


class Motions:
    """How the parts that no expression bends move in a view."""

    def __init__(self, model: HeadModel, anatomy: HeadAnatomy, rest: np.ndarray, view: SyntheticView) -> None:
        self.head = rigid_motion(rest[anatomy.ears], view.vertices[anatomy.ears])
        torso = anatomy.head_weight < 0.02
        self.torso = rigid_motion(rest[torso], view.vertices[torso])
        self.eyes = [
            rigid_motion(rest[model.regions[f"eye_{side}"]], view.vertices[model.regions[f"eye_{side}"]])
            for side in ("left", "right")
        ]
        # The teeth follow what the jaw's bone does, not the lips.
        jaw = model.lbs_weights[:, 2] > 0.97
        jaw[model.regions.get("tongue", [])] = False
        moves = np.array(view.parameters.expression, np.float32)
        keep = np.isin(model.expression_names, JAW_ACTIONS)
        own = replace(model, v_template=rest)
        bone = own.forward(None, np.where(keep, moves, 0), view.parameters.joint_rotations).vertices
        self.jaw = rigid_motion(rest[jaw], bone[jaw])
        self._low, self._high = anatomy.chin - 0.16, anatomy.chin - 0.02

    def hanging(self, points: np.ndarray) -> np.ndarray:
        """Hair: with the head, and from the neck down more and more with the torso."""
        share = smoothstep(points[..., 1:2], self._low, self._high)
        return share * self.head(points) + (1 - share) * self.torso(points)
