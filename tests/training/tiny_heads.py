"""A head that is rendered from its true parameters: the open head with painted vertices, from several sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.geometry.rasterizer import interpolate, rasterize
from backend.people.shards import FORMAT
from backend.protocol.camera import Camera
from flame import load_head_model

DISTANCE = 1.2


def write_head(folder: Path, seed: int, views: int = 6, size: int = 64, poses: bool = False) -> Path:
    """A shard as the corpus has them, with the arrays that GPAvatar's training reads."""
    model, rng = load_head_model(), np.random.default_rng(seed)
    betas = rng.normal(0, 0.7, model.num_shape).astype(np.float32)
    expressions = (rng.random((views, model.num_expression)) < 0.04).astype(np.float32) * 0.6
    pose, translation = np.zeros((views, 5, 3), np.float32), np.zeros((views, 3), np.float32)
    if poses:
        pose[:, 0], pose[:, 1] = rng.uniform(-0.3, 0.3, (views, 3)), rng.uniform(-0.3, 0.3, (views, 3))
        translation = rng.uniform(-0.02, 0.02, (views, 3)).astype(np.float32)
    colors = 0.5 + 0.35 * np.sin(model.v_template @ rng.normal(0, 25, (3, 3)) + rng.uniform(0, 6, 3))
    images, cameras = [], []
    for k in range(views):
        camera = camera_at(np.radians(rng.uniform(-45, 45)) if k else 0.0, size)
        vertices = model.forward(betas, expressions[k], pose[k], translation[k]).vertices
        screen = np.column_stack([camera.project(vertices), camera.to_camera(vertices)[:, 2]])
        raster = rasterize(screen, model.faces, size, size)
        rgb = interpolate(raster, model.faces, colors)
        images.append(np.rint(255 * np.dstack([rgb, raster.covered])).astype(np.uint8))
        cameras.append([*camera.K, *camera.world_to_camera])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"identity_{seed:06d}.npz"
    more = {"poses": pose, "translations": translation} if poses else {}
    np.savez_compressed(
        path, format=FORMAT, truth=np.array(images), cameras=np.array(cameras), betas=betas, expressions=expressions,
        **more,
    )  # fmt: skip
    return path


def camera_at(yaw: float, size: int) -> Camera:
    """A camera around the origin that sees somewhat more than the network's box."""
    turn = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    extrinsics = np.eye(4)
    # From head space (y up, z towards the camera) to OpenCV's axes.
    extrinsics[:3, :3] = np.diag([1.0, -1.0, -1.0]) @ turn
    extrinsics[2, 3] = DISTANCE
    focal = 0.9 * size / 2 * DISTANCE / 0.2
    return Camera.from_arrays(np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]]), extrinsics, size, size)
