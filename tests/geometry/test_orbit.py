"""Cameras that go round a head."""

import numpy as np

from backend.geometry.orbit import camera_ahead, orbit
from backend.protocol.camera import Camera


def test_an_orbit_keeps_the_center_where_it_is():
    pose = np.eye(4)
    pose[:3, 3] = [0.1, 0.2, 1.5]
    camera = Camera.from_arrays([[500, 0, 128], [0, 500, 128], [0, 0, 1]], pose, 256, 256)
    center = np.array([0.02, -0.05, -0.08])
    for yaw, pitch in ((30, 0), (-70, 15), (0, -20)):
        turned = orbit(camera, center, yaw, pitch)
        np.testing.assert_allclose(turned.project(center), camera.project(center), atol=1e-6)
        np.testing.assert_allclose(turned.extrinsics[:3, :3] @ turned.extrinsics[:3, :3].T, np.eye(3), atol=1e-9)


def test_positive_yaw_shows_the_heads_right_cheek_side():
    # A point on the person's left (+x) comes nearer to the camera when the head turns to its right, and the other way.
    camera = Camera.from_arrays([[500, 0, 128], [0, 500, 128], [0, 0, 1]], np.diag([1.0, -1, -1, 1]), 256, 256)
    left = np.array([0.08, 0, 0])
    turned = orbit(camera, np.zeros(3), 30, 0)
    assert turned.to_camera(left)[2] > camera.to_camera(left)[2]


def test_a_camera_ahead_sees_the_face_straight_and_frames_what_it_framed():
    pose = np.diag([1.0, -1, -1, 1])
    pose[:3, 3] = [0.01, 0.02, 1.4]
    portrait = orbit(Camera.from_arrays([[500, 0, 128], [0, 500, 128], [0, 0, 1]], pose, 256, 256), np.zeros(3), 25, -8)
    ahead = camera_ahead(portrait, 512)
    nose, chin = ahead.project(np.array([0, 0, 0.1])), ahead.project(np.array([0, -0.1, 0.1]))
    assert nose[0] == chin[0]
    assert nose[1] < chin[1]
    np.testing.assert_allclose(ahead.project(np.zeros(3)), 2 * portrait.project(np.zeros(3)), atol=1e-6)
    assert (ahead.width, ahead.height) == (512, 512)
