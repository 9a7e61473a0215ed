"""The head model: identity, expression and pose in, vertices and joints out."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from flame.rotations import axis_angle_to_matrix
from flame.skinning import pose_vertices, posed_joints


@dataclass(frozen=True)
class LandmarkEmbedding:
    """Where a detector's landmarks lie on the mesh.

    Attributes:
        face_index: (L,) int32, the triangle of each landmark.
        barycentric: (L, 3) float32, weights of its corners, summing to 1.
        weight: (L,) float32 in [0, 1], how far the place is to be trusted; 0 for a landmark that was not found.
    """

    face_index: np.ndarray
    barycentric: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class HeadVertices:
    """A posed head: vertices (V, 3) and joints (5, 3), float32, metres, head space."""

    vertices: np.ndarray
    joints: np.ndarray


@dataclass(frozen=True, eq=False)
class HeadModel:
    """A head model in FLAME's format (Li et al. 2017, "Learning a model of facial shape and expression").

    Attributes:
        name: the file's stem.
        checksum: sha256 of the file, hex.
        v_template: (V, 3) float32, metres, y up, face towards +z.
        faces: (F, 3) int32, counter-clockwise seen from outside.
        shapedirs: (V, 3, B) float32, the identity basis; a coefficient of 1 is one standard deviation.
        expressiondirs: (V, 3, E) float32.
        posedirs: (36, 3 V) float32, the pose correctives.
        J_regressor: (5, V) float32.
        parents: (5,) int32, -1 for the root.
        lbs_weights: (V, 5) float32, rows sum to 1.
        shape_names, expression_names: one name per component.
        expression_range: (E, 2) float32, the smallest and largest sensible coefficient of each expression: +-3 standard
            deviations for FLAME's components, [0, 1] for facial actions.
        vt, ft: texture coordinates (T, 2) float32 and their triangles (F, 3) int32, or None.
        landmarks: where mediapipe's 478 landmarks lie, or None where the file does not tell.
        regions: vertex indices by name; "eye_left" and "eye_right" are always there.
    """

    name: str
    checksum: str
    v_template: np.ndarray
    faces: np.ndarray
    shapedirs: np.ndarray
    expressiondirs: np.ndarray
    posedirs: np.ndarray
    J_regressor: np.ndarray
    parents: np.ndarray
    lbs_weights: np.ndarray
    shape_names: tuple[str, ...]
    expression_names: tuple[str, ...]
    expression_range: np.ndarray
    vt: np.ndarray | None = None
    ft: np.ndarray | None = None
    landmarks: LandmarkEmbedding | None = None
    regions: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def num_shape(self) -> int:
        return self.shapedirs.shape[2]

    @property
    def num_expression(self) -> int:
        return self.expressiondirs.shape[2]

    @cached_property
    def _has_correctives(self) -> bool:
        return bool(np.any(self.posedirs))

    def rest_vertices(self, betas: np.ndarray | None = None, expression: np.ndarray | None = None) -> np.ndarray:
        """The head before posing, (V, 3) float32.

        Args:
            betas: (B,) or shorter; the rest is zero.
            expression: (E,) or shorter.

        Raises:
            ValueError: too many coefficients, or one that is not finite.
        """
        vertices = self.v_template
        for basis, coefficients, what in (
            (self.shapedirs, betas, "identity"),
            (self.expressiondirs, expression, "expression"),
        ):
            if coefficients is not None:
                coefficients = _coefficients(coefficients, basis.shape[2], what)
                vertices = vertices + basis[:, :, : len(coefficients)] @ coefficients
        return vertices

    def rest_joints(self, rest_vertices: np.ndarray) -> np.ndarray:
        """Rest joint positions (5, 3) float32 of a head (V, 3)."""
        return self.J_regressor @ rest_vertices

    def forward(
        self,
        betas: np.ndarray | None = None,
        expression: np.ndarray | None = None,
        pose: np.ndarray | None = None,
        translation: np.ndarray | None = None,
    ) -> HeadVertices:
        """Shape, express and pose the head (FLAME, equations 1 to 4).

        Args:
            betas: (B,) or shorter, standard deviations.
            expression: (E,) or shorter.
            pose: (5, 3) axis-angle of global, neck, jaw, eye_left, eye_right, radians.
            translation: (3,) metres.

        Raises:
            ValueError: wrong lengths or values that are not finite.
        """
        rest = self.rest_vertices(betas, expression)
        joints = self.rest_joints(rest)
        pose = np.zeros((5, 3)) if pose is None else _finite(pose, (5, 3), "pose")
        translation = np.zeros(3) if translation is None else _finite(translation, (3,), "translation")
        if self._has_correctives:
            feature = (axis_angle_to_matrix(pose[1:]) - np.eye(3)).astype(np.float32)
            rest = rest + (feature.ravel() @ self.posedirs).reshape(-1, 3)
        return HeadVertices(
            pose_vertices(rest, joints, self.parents, self.lbs_weights, pose, translation),
            posed_joints(joints, self.parents, pose) + translation.astype(np.float32),
        )

    def landmark_positions(self, vertices: np.ndarray) -> np.ndarray:
        """The landmarks (L, 3) of a head (V, 3), or of any attribute of its vertices (V, C).

        Raises:
            ValueError: the model has no landmark embedding.
        """
        if self.landmarks is None:
            raise ValueError(
                f"{self.name} has no landmark embedding: compute one with backend.tracking.embedding.with_landmarks"
            )
        corners = vertices[self.faces[self.landmarks.face_index]]
        return np.einsum("lk,lkc->lc", self.landmarks.barycentric, corners)


def _finite(values: np.ndarray, shape: tuple[int, ...], what: str) -> np.ndarray:
    values = np.asarray(values, float)
    if values.shape != shape or not np.isfinite(values).all():
        raise ValueError(f"{what} must be {shape} finite numbers, not shape {values.shape}")
    return values


def _coefficients(values: np.ndarray, most: int, what: str) -> np.ndarray:
    values = np.asarray(values, np.float32)
    if values.ndim != 1 or len(values) > most or not np.isfinite(values).all():
        raise ValueError(f"{what} must be at most {most} finite coefficients, not shape {values.shape}")
    return values
