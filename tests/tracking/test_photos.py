"""Photos as users have them, and those that cannot be used."""

import cv2
import numpy as np
import pytest
from image_files import encode
from PIL import Image

from backend.tracking import TrackingError, track


def refusal(photo: bytes, model) -> TrackingError:
    with pytest.raises(TrackingError) as caught:
        track(photo, model)
    error = caught.value
    assert error.sentence.endswith(".")
    assert error.hint.endswith(".")
    return error


def test_no_face(open_head):
    y, x = np.mgrid[:300, :400]
    sky = np.stack([x // 4, y // 3, 200 - y // 4], 2).astype(np.uint8)
    assert refusal(encode(sky), open_head).code == "no_face"


@pytest.mark.parametrize("cut", [np.s_[105:, :], np.s_[:, 220:], np.s_[:170, :], np.s_[:, :225]])
def test_a_face_cut_by_the_border(open_head, astronaut, cut):
    assert refusal(encode(np.ascontiguousarray(astronaut[cut])), open_head).code == "face_cut"


def test_a_forty_pixel_face(open_head, astronaut):
    small = np.asarray(Image.fromarray(astronaut).resize((180, 180), Image.Resampling.LANCZOS))
    assert refusal(encode(small), open_head).code == "face_too_small"


def test_of_several_faces_the_largest_is_taken_and_told(open_head, portraits, astronaut, hopper):
    smaller = np.asarray(Image.fromarray(hopper).resize((205, 242), Image.Resampling.LANCZOS))
    beside = np.full((512, 205, 3), 255, np.uint8)
    beside[:242] = smaller
    tracked = track(encode(np.hstack([beside, astronaut])), open_head)
    assert [code for code, _ in tracked.warnings] == ["several_faces"]
    alone = portraits["astronaut"]
    inside = alone.valid & tracked.valid
    apart = np.abs(tracked.image[inside].astype(int) - alone.image[inside])
    assert apart.mean() < 12


def test_a_large_photo_is_reduced_and_tracked_alike(open_head, portraits, astronaut):
    large = np.asarray(Image.fromarray(astronaut).resize((4600, 4600), Image.Resampling.BICUBIC))
    tracked = track(encode(large, "JPEG", quality=90), open_head)
    alone = portraits["astronaut"]
    np.testing.assert_allclose(tracked.landmarks[:468, :2], alone.landmarks[:468, :2], atol=6)
    assert np.abs(tracked.image[alone.valid].astype(int) - alone.image[alone.valid]).mean() < 8


def test_the_files_own_alpha_limits_the_person(open_head, portraits, astronaut):
    y, x = np.mgrid[:512, :512]
    disc = ((x - 230) ** 2 + (y - 140) ** 2 < 160**2).astype(np.uint8) * 255
    tracked = track(encode(np.dstack([astronaut, disc])), open_head)
    inside = cv2.erode(cv2.warpAffine(disc, tracked.from_photo, (512, 512)), np.ones((5, 5)))
    outside = cv2.erode(cv2.warpAffine(255 - disc, tracked.from_photo, (512, 512)), np.ones((5, 5)))
    assert tracked.matte[outside == 255].max() <= 1.01 / 255
    assert tracked.matte[inside == 255].mean() > 0.5
