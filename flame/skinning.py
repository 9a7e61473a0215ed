"""Linear blend skinning about FLAME's joints (SMPL, section 3; FLAME, section 3)."""

from __future__ import annotations

import numpy as np

from flame.rotations import axis_angle_to_matrix


def joint_transforms(joints: np.ndarray, parents: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Each joint's rigid transform in head space, along the kinematic chain.

    Args:
        joints: (J, 3) rest positions, metres.
        parents: (J,) parent of each joint, -1 for the root; a parent comes before its children.
        rotations: (J, 3, 3) each joint's own rotation.

    Returns:
        (J, 4, 4) float64: maps a rest point that follows joint j to its posed place.
    """
    transforms = np.tile(np.eye(4), (len(joints), 1, 1))
    for j, parent in enumerate(parents):
        own = np.eye(4)
        own[:3, :3] = rotations[j]
        own[:3, 3] = joints[j] - rotations[j] @ joints[j]
        transforms[j] = own if parent < 0 else transforms[parent] @ own
    return transforms


def pose_vertices(
    rest_vertices: np.ndarray,
    joints: np.ndarray,
    parents: np.ndarray,
    skin_weights: np.ndarray,
    pose: np.ndarray,
    translation: np.ndarray | None = None,
) -> np.ndarray:
    """Skin a mesh.

    Args:
        rest_vertices: (N, 3), metres.
        joints: (J, 3) rest positions.
        parents: (J,), -1 for the root.
        skin_weights: (N, J), rows sum to 1.
        pose: (J, 3) axis-angle per joint, radians.
        translation: (3,) metres, added at the end, or None.

    Returns:
        (N, 3) float32.
    """
    rotations = axis_angle_to_matrix(np.asarray(pose).reshape(len(parents), 3))
    transforms = joint_transforms(np.asarray(joints, float), parents, rotations)
    # Summed joint by joint: a matrix per vertex would cost ten times the memory traffic.
    posed = np.zeros((len(rest_vertices), 3), np.float32)
    for j, transform in enumerate(transforms.astype(np.float32)):
        posed += skin_weights[:, j, None] * (rest_vertices @ transform[:3, :3].T + transform[:3, 3])
    return posed if translation is None else posed + np.asarray(translation, np.float32)


def posed_joints(joints: np.ndarray, parents: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Where the joints (J, 3) stand in a pose (J, 3), float32."""
    transforms = joint_transforms(np.asarray(joints, float), parents, axis_angle_to_matrix(pose))
    return (np.einsum("jab,jb->ja", transforms[:, :3, :3], joints) + transforms[:, :3, 3]).astype(np.float32)
