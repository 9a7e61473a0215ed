"""What cameras say of a surface comes to lie on its texels, from those that see it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.geometry.baking import Texels
from backend.geometry.orbit import orbit
from backend.geometry.posing import draw
from backend.geometry.rasterizer import interpolate
from backend.protocol.camera import Camera
from backend.protocol.rigged_mesh import RiggedMesh

FRONT = Camera.from_arrays(
    [[400, 0, 128], [0, 400, 128], [0, 0, 1]], [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1], [0, 0, 0, 1]], 256, 256
)
"""One metre before the origin, looking at it."""
ROWS, COLUMNS, SIZE = 25, 49, 128


def ball(radius: float) -> RiggedMesh:
    """A ball whose texture has the azimuth along its rows, 0 in their middle, and the height along its columns."""
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi, ROWS), np.linspace(-np.pi, np.pi, COLUMNS), indexing="ij")
    unit = np.stack([np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)], -1)
    corner = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
    faces = np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)]).reshape(-1, 3).astype(np.int32)
    count = ROWS * COLUMNS
    uv = np.stack([azimuth / (2 * np.pi) + 0.5, 1 - polar / np.pi], -1).reshape(-1, 2)
    return RiggedMesh(
        vertices=(radius * unit).reshape(-1, 3).astype(np.float32),
        faces=faces,
        expression_vertices=np.zeros(0, np.int32),
        expression_offsets=np.zeros((0, 0, 3), np.float32),
        expression_names=(),
        joints=np.zeros((5, 3), np.float32),
        parents=np.array([-1, 0, 1, 1, 1], np.int32),
        skin_weights=np.eye(5, dtype=np.float32)[np.ones(count, int)],
        uv=uv.astype(np.float32),
        uv_faces=faces,
        texture=np.zeros((SIZE, SIZE, 4), np.uint8),
        confidence=np.zeros((SIZE, SIZE), np.uint8),
    )


def seen_by(camera: Camera, mesh: RiggedMesh):
    """A view whose values are the places that it shows, in metres."""
    raster = draw(mesh.faces, camera, mesh.vertices)
    shown = raster.covered[..., None].astype(np.float32)
    return camera, raster.depth, np.dstack([interpolate(raster, mesh.faces, mesh.vertices) * shown, shown])


@settings(max_examples=20, deadline=None)
@given(yaw=st.floats(-180, 180), pitch=st.floats(-50, 50), radius=st.floats(0.05, 0.15))
def test_texels_get_what_a_camera_shows_of_them(yaw, pitch, radius):
    mesh = ball(radius)
    camera = orbit(FRONT, np.zeros(3), yaw, pitch)
    texels = Texels.of(mesh, mesh.vertices, SIZE)
    assert texels.covered.all()
    sums, weights = texels.gather([seen_by(camera, mesh)])
    facing = (texels.normals * camera.center / np.linalg.norm(camera.center)).sum(1).reshape(SIZE, SIZE)
    assert (weights[facing < 0] == 0).all()
    # Seen squarely, so that no sample reaches past the outline.
    sure = facing > 0.6
    assert (weights[sure] > 0).all()
    places = sums[sure] / weights[sure][:, None]
    assert np.abs(places - texels.points.reshape(SIZE, SIZE, 3)[sure]).max() < 0.03 * radius


def test_of_two_cameras_the_one_that_sees_a_texel_squarely_counts_more():
    mesh = ball(0.1)
    cameras = [orbit(FRONT, np.zeros(3), yaw, 0) for yaw in (0, 60)]
    views = []
    for value, camera in enumerate(cameras):
        _, depth, values = seen_by(camera, mesh)
        views.append((camera, depth, values[..., [3, 3]] * np.float32([value, 1])))
    texels = Texels.of(mesh, mesh.vertices, SIZE)
    sums, weights = texels.gather(views)
    way = np.stack([camera.center - texels.points for camera in cameras])
    cosines = (way * texels.normals).sum(-1) / np.linalg.norm(way, axis=-1)
    both = (cosines > 0.3).all(0)
    share = sums[..., 0].ravel()[both] / weights.ravel()[both]
    np.testing.assert_allclose(share, (cosines[1] ** 2 / (cosines**2).sum(0))[both], atol=1e-5)


def test_what_stands_before_a_surface_is_not_said_of_it():
    mesh = ball(0.1)
    camera, depth, values = seen_by(FRONT, mesh)
    depth[:, :128] = 0.5
    texels = Texels.of(mesh, mesh.vertices, SIZE)
    _, weights = texels.gather([(camera, depth, values)])
    left = texels.points[:, 0].reshape(SIZE, SIZE) < -0.01
    assert not weights[left].any()
    assert weights[~left].any()
