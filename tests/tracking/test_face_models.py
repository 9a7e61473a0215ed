"""The face models that ship, and what is around them."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.onnx_session import OnnxNetwork
from backend.protocol.errors import TurboPortraitError
from backend.tracking.face_detection import FAR, NEAR, overlap, suppress
from backend.tracking.face_mesh import find_irises, find_mesh
from backend.tracking.face_models import FOLDER
from backend.tracking.rois import Roi


def test_the_files_are_those_that_were_converted():
    sums = json.loads((FOLDER / "checksums.json").read_text())
    assert {path.name for path in FOLDER.glob("*.onnx")} == set(sums)
    for name, told in sums.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == told["sha256"]


def test_anchors_are_as_many_as_the_models_answers():
    assert NEAR.anchors.shape == (896, 2)
    assert FAR.anchors.shape == (2304, 2)
    assert (FAR.anchors[[0, -1]] == [[2, 2], [190, 190]]).all()


@pytest.mark.parametrize("detector", [NEAR, FAR])
def test_a_detector_sees_the_astronaut(astronaut, detector):
    scores, points = detector(astronaut, 0.6)
    assert len(scores) == 1
    low, high = points[0, :2]
    # Eyes, nose, mouth.
    assert ((points[0, 2:6] > low) & (points[0, 2:6] < high)).all()
    assert points[0, 2, 0] < points[0, 3, 0]


def test_irises_lie_between_the_lids(astronaut):
    mesh = find_mesh(astronaut)
    irises = find_irises(astronaut, mesh)
    for iris, (outer, inner, top, bottom) in ((irises[:5], (33, 133, 159, 145)), (irises[5:], (263, 362, 386, 374))):
        x, y = iris[0, :2]
        assert min(mesh[outer, 0], mesh[inner, 0]) < x < max(mesh[outer, 0], mesh[inner, 0])
        assert mesh[top, 1] - 2 < y < mesh[bottom, 1] + 2
        np.testing.assert_allclose(iris[1:, :2].mean(0), iris[0, :2], atol=1.5)
        assert iris[1, 0] > iris[3, 0]
        assert iris[2, 1] < iris[4, 1]


def test_a_mirrored_photo_has_the_mirrored_irises(astronaut):
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    found = find_irises(astronaut, find_mesh(astronaut))
    other = find_irises(mirrored, find_mesh(mirrored))
    for first, second in ((found[0], other[5]), (found[5], other[0])):
        np.testing.assert_allclose([512 - second[0], second[1]], first[:2], atol=2.5)


@given(st.floats(-3, 3), st.floats(10, 300), st.integers(16, 256))
def test_a_roi_lies_where_its_points_say(angle, width, size):
    middle, across = np.array([200.0, 150.0]), width * np.array([np.cos(angle), np.sin(angle)])
    box = np.array([*middle - width / 2, *middle + width / 2])
    roi = Roi.along(box, middle - across / 2, middle + across / 2, 2.0)
    matrix = roi.to_photo(size)
    level = np.array([[size / 4, size / 2], [size * 3 / 4, size / 2]])
    np.testing.assert_allclose(
        level @ matrix[:, :2].T + matrix[:, 2], [middle - across / 2, middle + across / 2], atol=1e-6
    )


@given(st.integers(0, 2**32 - 1), st.integers(0, 20))
def test_what_suppression_leaves_were_different_faces(seed, count):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 100, (count, 1, 2))
    points = np.concatenate([corner, corner + rng.uniform(1, 60, (count, 1, 2)), rng.uniform(0, 100, (count, 6, 2))], 1)
    scores = rng.random(count)
    kept, places = suppress(scores, points)
    assert len(kept) == len(places) <= count
    assert (np.diff(kept) <= 0).all()
    if count:
        assert kept[0] == scores.max()
        assert points[:, 2:].min() - 1e-9 <= places[:, 2:].min()
    apart = points[0] + np.arange(5)[:, None, None] * 1000 if count else None
    if apart is not None:
        assert len(suppress(np.full(5, 0.7), apart)[0]) == 5


def test_boxes_overlap_by_what_they_share():
    box = np.array([[0.0, 0], [10, 10]])
    others = np.array([[[0.0, 0], [10, 10]], [[5, 0], [15, 10]], [[20, 20], [30, 30]]])
    np.testing.assert_allclose(overlap(box, others), [1, 1 / 3, 0])


@pytest.mark.parametrize("content", [None, b"", b"no network" * 50, b"\x08\x08" + b"\xff" * 4000])
def test_a_file_that_is_no_network_is_named(tmp_path, content):
    path = tmp_path / "mine.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TurboPortraitError) as caught:
        OnnxNetwork(path)
    assert caught.value.code == "bad_weights"
