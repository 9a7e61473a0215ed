"""Which vertices of a head model are ears, scalp, neck and so on: its own regions, else by their place to the eyes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import Delaunay, cKDTree

from backend.geometry.smoothstep import smoothstep
from backend.tracking.landmarks import FACE_OVAL
from flame import HeadModel

ROOT_ALONE = 0.9
"""Weight of the root joint from which on a vertex is the torso's."""
JAW = FACE_OVAL[7:30]
"""Landmarks from the left temple along the jaw to the right one."""
BESIDE_JAW = (0.04, 0.02)
"""Metres from the jaw's edge over which its side ends."""
LOBES = 0.2
"""Share of an ear's vertices that lie lower than the hairline beside it."""
AROUND_EAR, STANDS_OFF, LEAST_EAR = 0.07, 0.0025, 8
"""Metres around an ear's middle from which the head under it is known, and by which an ear stands off it, with so many
vertices at least."""


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

        head = model.lbs_weights[:, 0] < ROOT_ALONE
        behind_face = head & (forward > -1.9) & (forward < -0.55)
        # A skull is as wide above the ears as between them.
        above = behind_face & (up > 0.45) & (up < 1.0)
        width = np.abs(side[above]).max() if above.any() else np.inf
        at_ear = behind_face & (up > -1.1) & (up < 0.4) & (np.abs(side) > np.where(up > 0, 0.95, 0.85) * width)
        in_mouth = (np.abs(side) < 0.65) & (up > -1.6) & (up < -0.4) & (forward > -1.3) & (forward < 0.05)
        ear_left, ear_right = (
            _auricle(model, part(name, at_ear & (side * sign > 0)), head & ~in_mouth)
            for name, sign in (("ear_left", 1), ("ear_right", -1))
        )
        # A model's own region of an ear may be wide.
        ears = ear_left | ear_right
        above_lobes = named("ear_left", "ear_right") & (up > (np.quantile(up[ears], LOBES) if ears.any() else 0))
        # The hairline rises from the nape over the ears to the brow.
        hairline = np.clip(1.6 * (forward + 0.4) + 0.3, -1.1, 0.9)
        on_scalp = head & (up > hairline) & ~ears & ~in_mouth
        eyes = (model.v_template[side_of].mean(0) for side_of in (left, right))
        to_eye = np.min([np.linalg.norm(model.v_template - eye, axis=1) for eye in eyes], 0) / apart
        # The head's lower edge rises from the chin to the nape.
        on_neck = (up < -1.85 + 0.25 * np.clip(0.2 - forward, 0, 3)) & head
        torso = part("torso", model.lbs_weights[:, 0] >= ROOT_ALONE)
        return cls(
            eye_left=left,
            eye_right=right,
            ear_left=ear_left,
            ear_right=ear_right,
            scalp=(part("scalp", on_scalp) | above_lobes & on_scalp) & ~ears,
            neck=part("neck", on_neck & ~torso),
            torso=torso,
            mouth=part("mouth_interior", in_mouth) | named("tongue"),
            sockets=part("eye_socket", ~left & ~right & (to_eye < 0.32) & (forward < 0)),
        )

    def along_jaw(self, model: HeadModel, vertices: np.ndarray) -> np.ndarray:
        """(V, 3) of a head (V, 3): the direction along the jaw, in which beards go on from chin to sideburn; unit
        beside its edge, shorter farther off, 0 elsewhere."""
        edge = ndimage.zoom(model.landmark_positions(vertices)[list(JAW)], (8, 1), order=1)
        distance, nearest = cKDTree(edge).query(vertices)
        along = np.gradient(ndimage.gaussian_filter1d(edge, 4.0, axis=0), axis=0)[nearest]
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        beside = smoothstep(distance, *BESIDE_JAW) * (self.skin & ~self.ears)
        return along * beside[:, None]


def _auricle(model: HeadModel, region: np.ndarray, head: np.ndarray) -> np.ndarray:
    """(V,) bool: what stands off a head in the region of an ear (V,) bool; the region itself where the head around it
    tells nothing."""
    if not region.any():
        return region
    points = model.v_template
    middle = points[region].mean(0)
    across, along = (points - middle)[:, 0] * np.sign(middle[0]), (points - middle)[:, 1:]
    around = head & ~region & (np.linalg.norm(along, axis=1) < AROUND_EAR) & (across > -AROUND_EAR / 2)
    y, z = along.T
    basis = np.column_stack([np.ones_like(y), y, z, y * y, y * z, z * z])
    if around.sum() < 2 * basis.shape[1]:
        return region
    head_there = basis @ np.linalg.lstsq(basis[around], across[around], rcond=None)[0]
    standing = region & (across - head_there > STANDS_OFF)
    if standing.sum() < LEAST_EAR:
        return region
    # What it encloses is its hollow.
    return standing | (region & (Delaunay(along[standing], qhull_options="QJ").find_simplex(along) >= 0))
