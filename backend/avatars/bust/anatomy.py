"""Which vertices of a head model are ears, scalp, neck and so on: its own regions, else by their place to the eyes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flame import HeadModel

ROOT_ALONE = 0.9
"""Weight of the root joint from which on a vertex is the torso's."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Parts of a head model: (V,) bool each. Ears are the person's own left and right.

    Attributes:
        torso: what the neck does not move.
        mouth: the inside of the mouth with the tongue.
        sockets: what lies round the eyeballs behind the lids.
    """

    eye_left: np.ndarray
    eye_right: np.ndarray
    ear_left: np.ndarray
    ear_right: np.ndarray
    scalp: np.ndarray
    neck: np.ndarray
    torso: np.ndarray
    mouth: np.ndarray
    sockets: np.ndarray

    @property
    def eyes(self) -> np.ndarray:
        return self.eye_left | self.eye_right

    @property
    def ears(self) -> np.ndarray:
        return self.ear_left | self.ear_right

    @property
    def skin(self) -> np.ndarray:
        """What shows skin, the torso's with it."""
        return ~(self.eyes | self.mouth | self.sockets)

    @classmethod
    def of(cls, model: HeadModel) -> Anatomy:
        """FLAME's files name no parts but the eyes; for them distances are in units of that between the eyes."""
        count = len(model.v_template)

        def named(*names: str) -> np.ndarray:
            member = np.zeros(count, bool)
            for name in names:
                member[model.regions.get(name, np.zeros(0, int))] = True
            return member

        left, right = named("eye_left"), named("eye_right")
        between = (model.v_template[left].mean(0) + model.v_template[right].mean(0)) / 2
        apart = np.linalg.norm(model.v_template[left].mean(0) - model.v_template[right].mean(0))
        side, up, forward = ((model.v_template - between) / apart).T

        def part(name: str, by_place: np.ndarray) -> np.ndarray:
            return named(name) if name in model.regions else by_place

        at_ear = (np.abs(side) > 1.1) & (up > -1.1) & (up < 0.5) & (forward > -1.9) & (forward < -0.5)
        ear_left, ear_right = part("ear_left", at_ear & (side > 0)), part("ear_right", at_ear & (side < 0))
        on_scalp = ((up > 1.1) | ((forward < -1.2) & (up > -1.1))) & ~ear_left & ~ear_right
        torso = part("torso", model.lbs_weights[:, 0] >= ROOT_ALONE)
        return cls(
            eye_left=left,
            eye_right=right,
            ear_left=ear_left,
            ear_right=ear_right,
            scalp=part("scalp", on_scalp),
            neck=part("neck", (up < -1.9) & ~torso),
            torso=torso,
            mouth=named("mouth_interior", "tongue"),
            sockets=named("eye_socket"),
        )
