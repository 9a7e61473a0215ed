"""Which face a photo shows, and what is none."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
from image_files import encode
from PIL import Image

from backend.avatars.bust import register_bust
from backend.evaluation.portraits import real_portraits
from backend.geometry.orbit import camera_from_side
from backend.protocol.pictures import bytes_over_grey
from backend.tracking import TrackingError, track
from backend.tracking.faces import check_face, find_face
from backend.tracking.fit import fit_head
from backend.tracking.photo import crop_around, to_crop


def refused(photo: np.ndarray, model, **options) -> str:
    with pytest.raises(TrackingError) as caught:
        track(encode(photo), model, **options)
    return caught.value.code


def rgb(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.dstack([image] * 3) if image.ndim == 2 else image[..., :3])


NO_FACES = ("clock", "cell", "colorwheel", "chelsea", "coffee", "coins", "rocket", "moon")


@pytest.mark.parametrize("name", NO_FACES)
def test_animals_and_things_are_no_faces(open_head, name):
    assert refused(rgb(getattr(skimage.data, name)()), open_head) == "no_face"


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_that_lies_is_turned_and_said_so(open_head, portraits, astronaut, turns):
    tracked = track(encode(np.ascontiguousarray(np.rot90(astronaut, -turns))), open_head)
    assert [code for code, _ in tracked.warnings] == ["turned"]
    assert tracked.turns == turns
    np.testing.assert_allclose(tracked.landmarks, portraits["astronaut"].landmarks, atol=0.5)


def test_the_files_alpha_is_turned_with_the_photo(open_head, astronaut):
    alpha = np.full((512, 512), 255, np.uint8)
    alpha[:, :200] = 0
    photo = np.dstack([astronaut, alpha])
    upright = track(encode(photo), open_head)
    lying = track(encode(np.ascontiguousarray(np.rot90(photo))), open_head)
    assert np.abs(lying.matte - upright.matte).mean() < 0.01


@pytest.mark.parametrize("degrees", [-30, 30, 45])
def test_a_tilted_face_is_one_face(astronaut, degrees):
    image = Image.fromarray(astronaut).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="grey")
    face = find_face(np.asarray(image))
    assert face.warnings == ()


def test_a_face_that_fills_the_photo_is_found(astronaut):
    close = np.ascontiguousarray(astronaut[55:190, 160:295])
    face = find_face(np.asarray(Image.fromarray(close).resize((540, 540), Image.Resampling.BICUBIC)))
    assert np.ptp(face.landmarks[:468, 1]) > 270


@pytest.fixture(scope="module")
def two(astronaut, hopper):
    """A smaller face to the left of a larger one."""
    photo = np.full((512, 205 + 512, 3), 255, np.uint8)
    photo[:242, :205] = np.asarray(Image.fromarray(hopper).resize((205, 242), Image.Resampling.LANCZOS))
    photo[:, 205:] = astronaut
    return photo


@pytest.mark.parametrize(("number", "left", "right"), [(0, 205, 717), (1, 0, 205), (2, 205, 717)])
def test_of_several_faces_one_is_chosen_by_its_number_from_the_left(two, number, left, right):
    face = find_face(two, number)
    assert left < face.landmarks[:, 0].mean() < right
    assert [code for code, _ in face.warnings] == ([] if number else ["several_faces"])


def test_a_number_that_no_face_has(open_head, two):
    assert refused(two, open_head, number=3) == "no_such_face"


@pytest.mark.parametrize("name", ["astronaut", "hopper"])
def test_of_a_profile_it_is_not_said_that_there_is_no_face(open_head, name):
    avatar = register_bust(real_portraits()[name], open_head)
    for yaw in (75, 90, -90):
        camera = camera_from_side(avatar.tracked.camera, yaw, 0, 512)
        profile = bytes_over_grey(avatar.render([camera], avatar.tracked.parameters)[0].rgba)
        assert refused(profile, open_head) == "face_hidden"


def test_a_face_that_is_turned_away_gets_a_warning(open_head):
    photo = Image.fromarray(skimage.data.camera()).resize((1024, 1024), Image.Resampling.BICUBIC)
    tracked = track(encode(rgb(np.asarray(photo))), open_head)
    assert "face_turned" in {code for code, _ in tracked.warnings}


COVERS = {
    "left half": (0.0, -0.2, 0.5, 1.1),
    "right half": (0.5, -0.2, 1.1, 1.1),
    "mouth and chin": (0.0, 0.55, 1.1, 1.1),
    "eyes and brow": (0.0, -0.2, 1.1, 0.5),
}
"""Left, top, right and bottom as shares of the face's box."""


def test_nothing_covers_a_face_with_a_cap_or_glasses(portraits):
    assert all("face_covered" not in dict(tracked.warnings) for tracked in portraits.values())


@pytest.mark.parametrize("colour", [(128, 128, 128), (40, 40, 40), (120, 160, 200)])
@pytest.mark.parametrize("where", COVERS)
def test_what_covers_half_a_face_is_said(open_head, astronaut, where, colour):
    points = find_face(astronaut).landmarks[:468, :2]
    corner, size = points.min(0), np.ptp(points, axis=0)
    (left, top), (right, bottom) = (np.rint(corner + size * np.reshape(COVERS[where], (2, 2)))).astype(int)
    photo = astronaut.copy()
    photo[top:bottom, left:right] = colour
    try:
        said = {code for code, _ in track(encode(photo), open_head).warnings}
    except TrackingError as error:
        said = {error.code}
    assert said & {"face_covered", "face_hidden"}


def test_a_head_that_misses_the_landmarks_gets_a_warning(open_head, astronaut):
    face = find_face(astronaut)
    crop = crop_around(face.photo, face.landmarks[:468], 512)
    landmarks = to_crop(crop, face.landmarks)
    fit = fit_head(landmarks, open_head, 512)
    assert check_face(face, crop, landmarks, fit, ()) == ()
    bad = check_face(face, crop, landmarks, replace(fit, rms=(6.0, 1.0)), ())
    assert [code for code, _ in bad] == ["bad_fit"]
