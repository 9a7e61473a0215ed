import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from flame import pose_vertices
from flame.rotations import axis_angle_to_matrix, matrix_to_axis_angle, skew

vectors = arrays(float, (3,), elements=st.floats(-4, 4))
CHAIN = np.array([-1, 0, 1, 1, 1])


@given(vectors)
def test_matrix_is_scipys(vector):
    np.testing.assert_allclose(axis_angle_to_matrix(vector), Rotation.from_rotvec(vector).as_matrix(), atol=1e-12)


@given(vectors)
def test_there_and_back_is_the_same_rotation(vector):
    matrix = axis_angle_to_matrix(vector)
    back = matrix_to_axis_angle(matrix)
    assert np.linalg.norm(back) <= np.pi + 1e-9
    np.testing.assert_allclose(axis_angle_to_matrix(back), matrix, atol=1e-7)


@given(vectors, vectors)
def test_skew_is_the_cross_product(a, b):
    np.testing.assert_allclose(skew(a) @ b, np.cross(a, b), atol=1e-12)


def test_any_leading_shape():
    vectors = np.random.default_rng(0).standard_normal((2, 4, 3))
    matrices = axis_angle_to_matrix(vectors)
    assert matrices.shape == (2, 4, 3, 3)
    np.testing.assert_allclose(matrices[1, 2], axis_angle_to_matrix(vectors[1, 2]))


@given(vectors, vectors)
def test_the_global_joint_moves_the_head_rigidly(rotation, translation):
    rng = np.random.default_rng(1)
    points, joints = rng.standard_normal((30, 3)), rng.standard_normal((5, 3))
    weights = rng.dirichlet(np.ones(5), 30)
    pose = np.zeros((5, 3))
    pose[0] = rotation
    posed = pose_vertices(points, joints, CHAIN, weights, pose, translation)
    expected = (points - joints[0]) @ Rotation.from_rotvec(rotation).as_matrix().T + joints[0] + translation
    np.testing.assert_allclose(posed, expected, atol=1e-5)


@given(arrays(float, (5, 3), elements=st.floats(-1, 1)))
def test_a_joint_stays_where_its_parent_takes_it(pose):
    """A point at a joint that follows that joint is not moved by the joint's own turn."""
    joints = np.random.default_rng(2).standard_normal((5, 3))
    still = pose.copy()
    still[2] = 0
    weights = np.eye(5)[[2]]
    np.testing.assert_allclose(
        pose_vertices(joints[[2]], joints, CHAIN, weights, pose),
        pose_vertices(joints[[2]], joints, CHAIN, weights, still),
        atol=1e-5,
    )
