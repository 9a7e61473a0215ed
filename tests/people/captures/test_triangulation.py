"""Landmarks in space from synthetic cameras."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from backend.geometry.orbit import TO_CAMERA_AXES, rotation
from backend.geometry.similarity import fit_similarity
from backend.people.captures.alignment import HeadFrame, aligned_camera
from backend.people.captures.subject import SourceCamera, Unusable
from backend.people.captures.triangulation import triangulate
from backend.tracking.embedding import with_landmarks
from flame import load_head_model

DISTORTION = (-0.07, 0.04, -0.003, 0.003)


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    model = with_landmarks(load_head_model())
    return model.landmark_positions(model.v_template).astype(float)


def camera(yaw: float, pitch: float, face: np.ndarray, distance: float = 1.4, roll: float = 0.0) -> SourceCamera:
    pose = np.eye(4)
    pose[:3, :3] = TO_CAMERA_AXES @ rotation(*np.radians([yaw, pitch, roll]))
    pose[:3, 3] = [0.01, 0.02, distance] - pose[:3, :3] @ face.mean(0)
    K = np.array([[2100, 0, 560], [0, 2090, 790], [0, 0, 1.0]])
    return SourceCamera(K, pose, 1100, 1604, DISTORTION)


def seen_by(source: SourceCamera, face: np.ndarray, rng, noise: float) -> np.ndarray:
    axis, _ = cv2.Rodrigues(source.world_to_camera[:3, :3])
    pixels, _ = cv2.projectPoints(face, axis, source.world_to_camera[:3, 3], source.K, np.array(source.distortion))
    depth = face @ source.world_to_camera[2, :3]
    scale = source.K[0, 0] / (source.world_to_camera[2, 3] + depth.mean())
    return np.column_stack([pixels[:, 0] + rng.normal(0, noise, (len(face), 2)), (depth - depth.mean()) * scale])


@settings(max_examples=25, deadline=None)
@given(
    yaws=st.lists(st.floats(-45, 45), min_size=2, max_size=6),
    pitch=st.floats(-20, 20),
    roll=st.floats(-40, 40),
    seed=st.integers(0, 999),
)
def test_landmarks_are_found_again_and_one_liar_is_not_believed(face, yaws, pitch, roll, seed):
    yaws = [*yaws, yaws[0] - 15, yaws[0] + 15]
    rng = np.random.default_rng(seed)
    cameras = [camera(yaw, pitch, face, rng.uniform(0.9, 2), roll) for yaw in yaws]
    views = [(source, seen_by(source, face, rng, 0.5)) for source in cameras]
    liar = camera(yaws[0] + 10, pitch, face)
    moved = seen_by(liar, face, rng, 0) + np.array([400, 0, 0])
    points = triangulate([*views, (liar, moved)])
    assert np.median(np.linalg.norm(points - face, axis=1)) < 0.002


@pytest.mark.parametrize("yaw", [0, 12])
def test_a_single_camera_puts_a_mean_face_where_it_looks(face, yaw):
    source = camera(yaw, 5, face)
    points = triangulate([(source, seen_by(source, face, np.random.default_rng(0), 0))])
    placed = fit_similarity(face, points)
    assert placed.scale == pytest.approx(1, abs=0.08)
    angle = np.degrees(np.arccos(min((np.trace(placed.rotation) - 1) / 2, 1)))
    assert angle < 3
    frame = HeadFrame.of_landmarks(points)
    assert frame.angles(source.center)[0] == pytest.approx(yaw, abs=4)


def test_cameras_that_disagree_are_refused(face):
    rng = np.random.default_rng(0)
    a, b = camera(0, 0, face), camera(25, 0, face)
    with pytest.raises(Unusable, match="do not agree"):
        triangulate([(a, seen_by(a, face, rng, 0)), (b, seen_by(b, face, rng, 0) + np.array([0, 300, 0]))])
    with pytest.raises(Unusable, match="no camera sees"):
        triangulate([])


@settings(max_examples=40, deadline=None)
@given(yaw=st.floats(-80, 80), pitch=st.floats(-40, 40), roll=st.floats(-170, 170), distance=st.floats(0.8, 3))
def test_the_head_stands_upright_in_the_middle_at_one_size(face, yaw, pitch, roll, distance):
    frame = HeadFrame.of_landmarks(face)
    source = camera(yaw, pitch, face, distance, roll)
    aligned = aligned_camera(source, frame, 256)
    # Its own space: the origin is the middle, y is up.
    middle, above = aligned.project(np.array([[0, 0, 0], [0, 0.001, 0]]))
    assert middle == pytest.approx([128, 256 * 0.6 / 1.1], abs=1e-6)
    # Upright but for the perspective of a head beside the source's axis, some 5 degrees at the nearest.
    assert abs(above[0] - 128) < 0.1 * (middle[1] - above[1])
    per_metre = aligned.intrinsics[0, 0] / aligned.extrinsics[2, 3]
    assert per_metre * 2 * frame.half * 1.1 == pytest.approx(256)
    # A pinhole at the very place of the source.
    place = -aligned.extrinsics[:3, :3].T @ aligned.extrinsics[:3, 3]
    assert frame.to_world[:3, :3] @ place + frame.origin == pytest.approx(source.center, abs=1e-9)
