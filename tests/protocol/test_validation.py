"""What can be rendered passes; the bounds are those of `limits`. (Refusals: tests/server/test_malformed.py.)"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.protocol import TurboPortraitError, limits
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import Register
from backend.protocol.validation import check_camera, check_parameters, check_request
from flame.rotations import axis_angle_to_matrix

ANGLES = st.floats(-3, 3)


@given(
    rotation=st.tuples(ANGLES, ANGLES, ANGLES),
    position=st.tuples(*[st.floats(-limits.MAX_TRANSLATION, limits.MAX_TRANSLATION)] * 3),
    focal=st.floats(0.01, 1e6),
    centre=st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5)),
    size=st.tuples(st.integers(1, limits.MAX_IMAGE_SIDE), st.integers(1, limits.MAX_IMAGE_SIDE)),
)
def test_every_pinhole_camera_within_the_limits_passes(rotation, position, focal, centre, size):
    transform = np.eye(4)
    transform[:3, :3] = axis_angle_to_matrix(np.array(rotation))
    transform[:3, 3] = position
    check_camera(Camera.from_arrays([[focal, 0, centre[0]], [0, focal * 1.3, centre[1]], [0, 0, 1]], transform, *size))


def test_crops_of_a_camera_pass():
    camera = Camera.from_arrays([[500, 0, 256], [0, 500, 256], [0, 0, 1]], np.eye(4), 512, 512)
    check_camera(camera.crop(-100.5, 30.25, 77.7, 256))


@given(
    pose=st.lists(st.floats(-3.6, 3.6), min_size=15, max_size=15),
    expression=st.lists(st.floats(-limits.MAX_EXPRESSION_COEFFICIENT, limits.MAX_EXPRESSION_COEFFICIENT), max_size=100),
)
def test_every_sane_pose_passes(pose, expression):
    check_parameters(HeadParameters(tuple(pose), tuple(expression)))


@pytest.mark.parametrize("field", ["pose", "expression", "translation"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_one_bad_number_is_enough(field, value):
    length = {"pose": 15, "expression": 52, "translation": 3}[field]
    numbers = [0.0] * length
    numbers[length // 2] = value
    with pytest.raises(TurboPortraitError) as error:
        check_parameters(HeadParameters(**{field: tuple(numbers)}))
    assert error.value.code == "bad_parameters"


@pytest.mark.parametrize(
    ("size", "code"), [((1, 5), "malformed_message"), ((4, limits.MAX_TEXTURE_SIDE + 1), "message_too_large")]
)
def test_a_texture_is_neither_too_small_nor_too_large(size, code):
    with pytest.raises(TurboPortraitError) as error:
        check_request(Register(id=1, photo=np.zeros(1, np.uint8), texture=np.zeros((*size, 4), np.uint8)))
    assert error.value.code == code
