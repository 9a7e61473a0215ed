"""Colours and hair where the photo shows none."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from backend.avatars.bust.anatomy import Anatomy
from backend.avatars.bust.atlas import SIZE
from backend.avatars.bust.build import build_bust
from backend.avatars.bust.fill import (
    LEAST_PATCHES,
    MOST_CONTRAST,
    STRAND_CONTRAST,
    continue_detail,
    fill_vertices,
    patches,
    pores,
    strands,
)
from backend.avatars.bust.paint_hair import LONG_FRAY, SHORT_FRAY, frayed
from backend.avatars.bust.paint_head import joining, like_the_fill
from backend.avatars.bust.portrait import Portrait
from flame.geometry import vertex_normals

PATCH = (32, 16)
STRIPE = 8


@pytest.fixture(scope="module")
def striped():
    """Vertical stripes in one half, whose other half is not known."""
    columns = np.arange(256)
    detail = np.repeat(np.where(columns // STRIPE % 2, 10.0, -10.0)[None], 200, 0)[..., None].astype(np.float32)
    return detail, np.broadcast_to(columns < 128, (200, 256))


def test_detail_goes_on_in_its_direction_and_contrast(striped):
    detail, known = striped
    unknown = continue_detail(detail, known, PATCH)[:, 128:, 0]
    assert unknown.std() == pytest.approx(10, rel=0.2)
    assert np.abs(np.diff(unknown, axis=0)).mean() < 0.3 * np.abs(np.diff(unknown, axis=1)).mean()


def test_patches_are_as_known_as_is_said():
    known = np.zeros((100, 100), bool)
    known[:, :50] = True
    corners = patches(known, PATCH, 1.0)
    assert len(corners)
    assert all(known[y : y + PATCH[0], x : x + PATCH[1]].all() for y, x in corners)
    assert len(patches(known, PATCH, 0.5)) > len(corners)


def test_where_little_is_known_no_detail_is_made(striped):
    detail, _ = striped
    known = np.zeros(detail.shape[:2], bool)
    known[:8, :8] = True
    assert not continue_detail(detail, known, PATCH).any()
    assert len(patches(known, PATCH, 0.3)) <= LEAST_PATCHES


def test_skin_has_pores_where_there_is_stubble():
    """As rough as the face is at that height, whatever its features are."""
    photo = np.full((200, 300, 3), 120, np.float32)
    photo[100:] += np.random.default_rng(0).normal(0, 12, (100, 300, 1))
    photo[40:44, 130:170] = 0
    made = pores(photo, np.broadcast_to((np.abs(np.arange(300) - 150) < 60), (200, 300)))
    rough = made.std((1, 2))
    assert rough[150:].mean() > 5 * rough[:60].mean()
    assert np.abs(made.mean()) < 0.5


def test_short_hair_has_short_strands(striped):
    """As long as it is, strands are drawn out downwards."""
    detail, known = striped
    lengths = []
    for longest in (3.0, 12.0):
        made = strands(detail, known, longest)[..., 0]
        lengths.append(made.std() / np.diff(made, axis=0).std())
    assert lengths[0] < 0.5 * lengths[1]


def test_strands_are_not_as_dark_as_the_shadow_of_a_lock():
    """However much the known part varies, what is made up stays calm; and it is never without any strands."""
    noise = np.random.default_rng(0).normal(0, 1, (200, 256, 1)).astype(np.float32).repeat(3, -1)
    noise = cv2.GaussianBlur(noise, (0, 0), 4)
    known = np.ones((200, 256), bool)
    weak, strong = (strands(scale / noise.std() * noise, known, 30.0).std() for scale in (1.0, 80.0))
    assert 1 < weak < strong < MOST_CONTRAST * sum(STRAND_CONTRAST)


@pytest.mark.parametrize("kind", [LONG_FRAY, SHORT_FRAY])
def test_a_made_up_edge_of_hair_is_of_strands(kind):
    """Its lower end differs from column to column; far from it nothing changes."""
    alpha = np.zeros((200, 300))
    alpha[:100] = 1
    ends = frayed(alpha, *kind)
    assert (ends[:60] == 1).all()
    assert not ends[140:].any()
    assert (ends > 0.5).sum(0).std() > 1


def test_a_fill_joins_the_photo_without_a_step():
    """Beside what is seen it is like it, farther away as it was; where nothing is seen nothing changes."""
    seen = np.zeros((200, 300), np.float32)
    seen[:, :150] = 1
    joined = joining(np.full((200, 300, 3), 40, np.float32), seen)
    assert joined[:, 151].min() > 30
    assert np.abs(joined[:, 220:]).max() < 1
    assert not joining(np.full((200, 300, 3), 40, np.float32), 0 * seen).any()


@pytest.mark.parametrize("light", [70.0, -70.0])
def test_a_rim_of_light_stays_in_its_own_view(light):
    """Along a face's sides, what is unlike the skin beside it is not taken; under a chin, or square on, it is."""
    skin = np.full((1, 4, 3), 120.0)
    rim = skin + np.array([light, light, light, 5.0])[None, :, None]
    facing, aside = np.array([[0.3, 0.9, 0.3, 0.3]]), np.array([[0.9, 0.9, 0.1, 0.9]])
    taken = like_the_fill(rim, skin, facing, aside)[0]
    assert taken[0] < 0.1
    assert (taken[1:] > 0.95).all()


@pytest.mark.parametrize("brightness", [60.0, 200.0])
def test_a_beard_goes_on_to_the_ear(astronaut, head_model, brightness):
    """Dark or grey, it reaches the sideburn; cheeks and neck keep the skin's colour."""
    anatomy, vertices = Anatomy.of(head_model), astronaut.tracked.vertices.astype(float)
    along = anatomy.along_jaw(head_model, vertices)
    beside = np.linalg.norm(along, axis=1)
    front = vertices[:, 2] > vertices[anatomy.ears, 2].max() + 0.055
    below_mouth = vertices[:, 1] < vertices[anatomy.mouth, 1].max()
    colors = np.full((len(vertices), 3), 130.0)
    colors[beside > 0.5] = brightness
    weight = (front & below_mouth & anatomy.skin).astype(float)
    normals = np.zeros_like(vertices)
    openness = np.ones(len(vertices))
    filled = fill_vertices(head_model.faces, normals, vertices, openness, along, colors, weight).mean(1)
    jaw = (beside > 0.9) & ~front & (vertices[:, 2] > vertices[anatomy.ears, 2].mean() + 0.01)
    assert np.abs(filled[jaw & below_mouth] - brightness).mean() < 0.5 * abs(brightness - 130)
    assert np.abs(filled[anatomy.scalp] - brightness).mean() > 0.6 * abs(brightness - 130)


def test_the_jaw_s_direction_lies_in_its_skin(astronaut, head_model):
    anatomy, vertices = Anatomy.of(head_model), astronaut.tracked.vertices.astype(float)
    along = anatomy.along_jaw(head_model, vertices)
    length = np.linalg.norm(along, axis=1)
    assert length.max() <= 1 + 1e-6
    assert not length[anatomy.eyes | anatomy.ears | anatomy.torso].any()
    chin = np.argmin(np.linalg.norm(vertices - head_model.landmark_positions(vertices)[152], axis=1))
    assert abs(along[chin, 0]) > 0.9


def test_what_lies_beyond_a_face_s_outline_is_not_painted_on_it(astronaut, head_model):
    """There the photo shows neck and earrings: the neck takes it, the cheek has none of it."""
    portrait = Portrait.of(astronaut.tracked)
    narrow = replace(portrait, face=cv2.erode(portrait.face, np.ones((91, 91))))
    mesh, _ = build_bust(astronaut.tracked, narrow, head_model)
    anatomy, count = Anatomy.of(head_model), len(head_model.v_template)
    column, row = (mesh.uv * [1, -1] * SIZE + [0, SIZE]).astype(int).clip(0, SIZE - 1).T
    confidence = np.zeros(len(mesh.vertices), np.uint8)
    confidence[mesh.faces] = mesh.confidence[row, column][mesh.uv_faces]
    vertices = mesh.vertices[:count].astype(float)
    normals, pixels = vertex_normals(vertices, head_model.faces), portrait.camera.project(vertices)
    beyond = portrait.sample(narrow.face, pixels) < 0.01
    jaw = anatomy.skin & ~(anatomy.neck | anatomy.torso | anatomy.ears) & beyond
    jaw &= (portrait.sample(portrait.face, pixels) > 0.9) & (portrait.facing(vertices, normals) > 0.4)
    assert jaw.sum() > 100
    assert np.mean(confidence[:count][jaw] > 10) < 0.2
    assert confidence[:count][anatomy.neck & beyond].max() > 200
