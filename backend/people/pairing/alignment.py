"""A rendered person brought onto the head that was fitted to the portrait, without changing what the portrait shows.

One photo does not tell a face's depth: fitted and true head differ in novel views by pixels, which would teach a
refiner to blur. Points of the true head therefore move along the portrait's viewing rays, and only so, to the fitted
depth near the fitted landmarks. It is done to whatever points the pictures' pixels show, in any pose and expression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from scipy.spatial import cKDTree

from backend.avatars.bust import BustAvatar
from backend.avatars.framing import HeadFraming
from backend.geometry.similarity import Similarity, fit_similarity
from backend.geometry.smoothstep import smoothstep
from backend.people.pairing.reference import true_camera
from backend.people.synthesis.anatomy import HeadAnatomy, anatomy_of
from backend.people.synthesis.files import PersonViews
from backend.people.synthesis.surface import RigidMotion, rigid_motion
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from flame import HeadModel
from flame.rotations import axis_angle_to_matrix, matrix_to_axis_angle

FULL, NONE = 0.03, 0.09
"""Metres from the nearest landmark up to which the fitted depth is taken whole, and from which on not at all."""
EARS = 0.3
"""How much of the fitted depth the ears take: nothing was fitted to them."""
NEIGHBOURS, SOFTNESS = 6, 0.002
"""Vertices that a point goes with, and metres by which their distances are softened."""
REACH = 0.012
"""Metres from the skin over which an expression carries what grows on it, as an avatar's hair is carried."""
SAME_PLACE = 0.012
"""Metres by which the avatar's surface at a vertex' pixel may differ from the fitted vertex to be the same place."""
NECK = 1


@dataclass(frozen=True, eq=False)
class _Moment:
    """What a head does: the skull's motion since the portrait, and how the face's parts moved besides.

    Attributes:
        skull: from where it was in the portrait.
        offsets: (V, 3) metres that vertices moved besides, in the portrait's pose.
    """

    skull: RigidMotion
    offsets: np.ndarray

    def blended(self, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The skull's motion in part: (n, 3, 3) and (n, 3) for shares (n,)."""
        matrix = np.eye(3) + share[:, None, None] * (self.skull.rotation - np.eye(3))
        return matrix, share[:, None] * self.skull.offset

    def forward(self, points: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Points (n, 3) of the portrait's pose in this one."""
        matrix, offset = self.blended(share)
        return (matrix @ points[..., None])[..., 0] + offset

    def back(self, points: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Points (n, 3) of this pose in the portrait's."""
        matrix, offset = self.blended(share)
        return np.linalg.solve(matrix, (points - offset)[..., None])[..., 0]


@dataclass(frozen=True, eq=False)
class _Ties:
    """The vertices that points go with.

    Attributes:
        nearest: (n, k) vertices, the nearest first. weight: (n, k), sums to one. reach: (n, 1) in [0, 1], how much
            of an expression carries a point.
    """

    nearest: np.ndarray
    weight: np.ndarray
    reach: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, vertices: np.ndarray) -> _Ties:
        distance, nearest = cKDTree(vertices).query(points, NEIGHBOURS)
        weight = (distance + SOFTNESS) ** -2.0
        return cls(nearest, weight / weight.sum(1, keepdims=True), np.exp(-((distance[:, :1] / REACH) ** 2)))

    def carried(self, values: np.ndarray) -> np.ndarray:
        """Values of vertices (V, ...) at the points, (n, ...)."""
        return np.einsum("nk,nk...->n...", self.weight, values[self.nearest])


class Alignment:
    """A person's views, in the head space of the avatar of the person's portrait.

    Args:
        person: rendered with `model`. avatar: of its portrait.

    Attributes:
        sure: (V,) bool, vertices whose depth is wholly the fitted one.
    """

    def __init__(self, person: PersonViews, avatar: BustAvatar, model: HeadModel) -> None:
        self.person, self.avatar, self.model = person, avatar, model
        tracked, anatomy = avatar.tracked, anatomy_of(model)
        mesh = avatar.mesh()
        self._framing = HeadFraming.of(tracked, mesh.joints, mesh.parents)
        self._own = replace(model, v_template=person.vertices)
        self._fitted = replace(model, v_template=tracked.neutral_vertices)
        self._share = model.lbs_weights[:, 1:].sum(1).astype(float)
        self._ears = anatomy.ears
        self._portrait = self.vertices(0)
        self._true_camera = true_camera(person.cameras[0], tracked)
        self._stretch, self.sure, self._depth = self._fit_depth(anatomy)

    @cached_property
    def placed(self) -> Similarity:
        """From the true head space to the fitted one, as nearly as one similarity can, by the face."""
        points = self._portrait[self.sure]
        return fit_similarity(points, self._along_rays(points, self._stretch[self.sure]))

    def parameters(self, view: int) -> HeadParameters:
        """What the avatar is to do in a view: as in the portrait, and the truth's change since."""
        fitted = np.zeros(self.model.num_expression)
        given = self.avatar.tracked.parameters.expression
        fitted[: len(given)] = given
        then, now = self.person.parameters[0], self.person.parameters[view]
        change = np.array(now.expression) - np.array(then.expression)
        pose = now.joint_rotations.astype(float) - then.joint_rotations
        pose[NECK] = self._turn(view)
        return HeadParameters.from_arrays(pose, fitted + change)

    def moment(self, view: int) -> int:
        """The first view in which the head does what it does in this one; 0 is the portrait's."""
        return self.person.parameters.index(self.person.parameters[view])

    def camera(self, view: int) -> Camera:
        """A view's camera over the fitted head space; the portrait's is the tracker's own."""
        return self.avatar.tracked.camera if view == 0 else self.placed.camera(self.person.cameras[view])

    def angles(self, view: int) -> tuple[float, float]:
        """Yaw and pitch off the portrait's view of the head, degrees, signed as by `orbit`."""
        then, now = (self.person.cameras[k].extrinsics[:3, :3] for k in (0, view))
        turn = then.T @ now @ self._moment(view)[0].skull.rotation
        return tuple(np.degrees([np.arctan2(-turn[2, 0], turn[2, 2]), np.arcsin(np.clip(turn[2, 1], -1, 1))]))

    def move(self, view: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bring what a view shows to where the avatar has it.

        Args:
            points: (n, 3) metres, the true head space, as the head is in that view.

        Returns:
            (n, 3) metres, the fitted head space, in the avatar's pose; (n,) the nearest of the model's vertices.
        """
        ties, (true, fitted) = _Ties.of(points, self.vertices(view)), self._moment(view)
        share = ties.carried(self._share)
        aligned = self._along_rays(self._before(true, ties, points), ties.carried(self._stretch))
        return fitted.forward(aligned + ties.reach * ties.carried(fitted.offsets), share), ties.nearest[:, 0]

    def framed(self, view: int, points: np.ndarray) -> np.ndarray:
        """(n,) bool: whether a view's points (n, 3), the true head space, lie in the portrait's frame."""
        ties, camera = _Ties.of(points, self.vertices(view)), self.person.cameras[0]
        pixels = camera.project(self._before(self._moment(view)[0], ties, points))
        return ((pixels >= 0) & (pixels <= (camera.width, camera.height))).all(1)

    def _before(self, moment: _Moment, ties: _Ties, points: np.ndarray) -> np.ndarray:
        """(n, 3) where points of a moment were in the portrait, the true head space."""
        return moment.back(points, ties.carried(self._share)) - ties.reach * ties.carried(moment.offsets)

    def _along_rays(self, points: np.ndarray, stretch: np.ndarray) -> np.ndarray:
        """Points (n, 3) of the true portrait to fitted head space: to the same pixels, by a stretch (n,) of depth."""
        depth = self._depth(self._true_camera.to_camera(points)[:, 2]) * (1 + stretch)
        return self.avatar.tracked.camera.unproject(self._true_camera.project(points), depth)

    def _fit_depth(self, anatomy: HeadAnatomy) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """(V,) by how much vertices' depth is stretched beside that of the whole head, (V,) where that is fitted, and
        the whole head's depths by the true ones.

        The fitted depth is the avatar's at the vertex' pixel of the portrait, where the portrait shows the vertex. The
        tracker guesses the focal length: farther away at a longer one the head is as wide and as deep as before.
        """
        tracked, true = self.avatar.tracked, self._true_camera.to_camera(self._portrait)[:, 2]
        distance, _ = cKDTree(anatomy.landmarks).query(anatomy.template)
        near = smoothstep(distance, NONE, FULL) * np.where(anatomy.ears, EARS, 1)
        fitted = tracked.camera.to_camera(tracked.vertices)[:, 2]
        columns, rows = (self._true_camera.project(self._portrait) - 0.5).astype(np.float32).T[..., None]
        shown = self.avatar.render([tracked.camera], tracked.parameters)[0].depth
        seen = cv2.remap(shown, columns, rows, cv2.INTER_LINEAR, borderValue=(np.inf,))[:, 0]
        fitted = np.where(np.abs(seen - fitted) < SAME_PLACE, seen, fitted)
        scale = float(np.median((fitted / true)[near == 1]))
        face = float(np.median(true[near == 1]))
        size = scale * self._true_camera.intrinsics[0, 0] / tracked.camera.intrinsics[0, 0]

        def depth(true: np.ndarray) -> np.ndarray:
            return scale * face + size * (true - face)

        return near * (fitted / depth(true) - 1), near == 1, depth

    def vertices(self, view: int) -> np.ndarray:
        """(V, 3) metres, the true head in a view."""
        parameters = self.person.parameters[view]
        return self._own.forward(None, np.array(parameters.expression), parameters.joint_rotations).vertices.astype(
            float
        )

    def fitted_vertices(self, view: int) -> np.ndarray:
        """(V, 3) metres, the fitted head in a view, in the avatar's pose."""
        parameters = self.parameters(view)
        return self._fitted.forward(None, np.array(parameters.expression), parameters.joint_rotations).vertices.astype(
            float
        )

    def _turn(self, view: int) -> np.ndarray:
        """(3,) axis-angle by which the fitted neck turns as the true one did since the portrait."""
        then, now = axis_angle_to_matrix(
            np.array([self.person.parameters[k].joint_rotations[NECK] for k in (0, view)], float)
        )
        axes = self.placed.rotation
        return matrix_to_axis_angle((axes @ now @ then.T @ axes.T)[None])[0]

    def _moment(self, view: int) -> tuple[_Moment, _Moment]:
        """What the true head does in a view, and what the fitted one does."""
        now = self.vertices(view)
        true = self._moved(rigid_motion(self._portrait[self._ears], now[self._ears]), self._portrait, now)
        parameters = self.parameters(view)
        carried = self._framing.head_transform(parameters)
        before, after = self.fitted_vertices(0), self.fitted_vertices(view)
        return true, self._moved(RigidMotion(carried[:3, :3], carried[:3, 3]), before, after)

    def _moved(self, skull: RigidMotion, before: np.ndarray, after: np.ndarray) -> _Moment:
        moment = _Moment(skull, np.zeros(0))
        return replace(moment, offsets=moment.back(after.astype(float), self._share) - before)
