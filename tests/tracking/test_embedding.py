"""Any head model file gets its landmarks, and keeps them."""

from dataclasses import replace

import numpy as np
import pytest

from backend.tracking import embedding


@pytest.fixture(scope="module")
def users_model(open_head):
    """The open head as a user's FLAME file would come: no landmarks, no regions but the eyes."""
    eyes = {name: open_head.regions[name] for name in ("eye_left", "eye_right")}
    return replace(open_head, landmarks=None, regions=eyes, checksum="0" * 64)


@pytest.mark.slow
def test_a_users_model_gets_landmarks_once(users_model, open_head, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    computed = embedding.with_landmarks(users_model)
    assert len(computed.regions["face"]) > 500
    found = computed.landmark_positions(open_head.v_template)
    shipped = open_head.landmark_positions(open_head.v_template)
    apart = np.linalg.norm(found - shipped, axis=1)
    assert np.median(apart) < 5e-4

    monkeypatch.setattr(embedding, "compute_embedding", lambda model: pytest.fail("computed twice"))
    again = embedding.with_landmarks(users_model)
    np.testing.assert_array_equal(again.landmarks.barycentric, computed.landmarks.barycentric)


def test_a_model_with_landmarks_is_left_alone(open_head):
    assert embedding.with_landmarks(open_head) is open_head


def test_a_model_that_is_no_face_is_told(users_model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    upside_down = replace(users_model, v_template=-users_model.v_template, checksum="1" * 64)
    with pytest.raises(ValueError, match="facing \\+z"):
        embedding.with_landmarks(upside_down)
    assert not list(tmp_path.rglob("*.npz"))


def test_the_nearest_point_on_faces(open_head):
    """Points on the surface come back to themselves."""
    rng = np.random.default_rng(0)
    faces = np.flatnonzero(np.isin(open_head.faces, open_head.regions["face"]).all(1))
    chosen, inside = rng.choice(faces, 200), rng.dirichlet(np.ones(3), 200)
    points = np.einsum("lk,lkc->lc", inside, open_head.v_template[open_head.faces[chosen]])
    index, barycentric = embedding._nearest_on_faces(open_head, faces, points)
    back = np.einsum("lk,lkc->lc", barycentric, open_head.v_template[open_head.faces[index]])
    np.testing.assert_allclose(back, points, atol=1e-5)
