"""A small avatar that really renders: a ball with a nose, coloured by the portrait, on FLAME's joints."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import io

import numpy as np
from PIL import Image

from backend.avatars.base import RenderedView
from backend.geometry.rasterizer import interpolate, rasterize
from backend.pipeline import Catalog
from backend.protocol.camera import Camera
from backend.protocol.errors import TurboPortraitError
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.rigged_mesh import RiggedMesh
from backend.tracking import Regions, TrackedPortrait
from flame import load_head_model, pose_vertices

RADIUS = 0.1
PORTRAIT = Camera.from_arrays(
    [[500, 0, 128], [0, 500, 128], [0, 0, 1]], [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1], [0, 0, 0, 1]], 256, 256
)
"""One metre in front of the face, looking at it."""


def looking_from(eye, width: int = 256, height: int = 256, focal: float = 500.0) -> Camera:
    """A camera at `eye` (metres, head space) that looks at the origin, upright."""
    eye = np.asarray(eye, float)
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, [0, 1, 0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = rotation, -rotation @ eye
    K = [[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]
    return Camera.from_arrays(K, transform, width, height)


def photo(color: tuple[int, int, int] = (200, 120, 90)) -> bytes:
    """A portrait for this maker: an image file whose mean colour becomes the head's."""
    file = io.BytesIO()
    Image.new("RGB", (32, 32), color).save(file, "PNG")
    return file.getvalue()


class LittleHead:
    """See `backend.avatars.base.Avatar`."""

    per_pixel = textured = True

    def __init__(self, identifier: str, image: np.ndarray) -> None:
        self.id = identifier
        self.tracked = _tracked(image)
        self._mesh = _ball(image.reshape(-1, 3).mean(0))

    def mesh(self) -> RiggedMesh:
        return self._mesh

    def with_texture(self, texture: np.ndarray) -> LittleHead:
        if np.array_equal(texture, self._mesh.texture):
            return self
        other = copy.copy(self)
        other._mesh = dataclasses.replace(self._mesh, texture=texture)
        other.id = hashlib.sha256(self.id.encode() + texture.tobytes()).hexdigest()
        return other

    def render(self, cameras, parameters: HeadParameters) -> list[RenderedView]:
        mesh = self._mesh
        vertices = pose_vertices(
            mesh.vertices,
            mesh.joints,
            mesh.parents,
            mesh.skin_weights,
            parameters.joint_rotations,
            np.array(parameters.translation, np.float32),
        )
        return [self._render(camera, vertices) for camera in cameras]

    def _render(self, camera: Camera, vertices: np.ndarray) -> RenderedView:
        points = camera.to_camera(vertices.astype(float))
        screen = np.column_stack([camera.project(vertices.astype(float)), points[:, 2]]).astype(np.float32)
        raster = rasterize(screen, self._mesh.faces, camera.width, camera.height)
        mesh = self._mesh
        height, width = mesh.texture.shape[:2]
        texels = np.column_stack([mesh.uv[:, 0] * width, (1 - mesh.uv[:, 1]) * height]).astype(int)
        rgba = interpolate(raster, mesh.faces, mesh.texture[texels[:, 1], texels[:, 0]]).round().astype(np.uint8)
        return RenderedView(rgba, raster.depth, raster.covered.astype(np.float32))

    def portrait_place(self, size: int) -> None:
        """Not known."""

    def bounds(self, camera: Camera, parameters: HeadParameters):
        centre = np.array(parameters.translation, float)
        depth = camera.to_camera(centre)[2]
        eye = -camera.extrinsics[:3, :3].T @ camera.extrinsics[:3, 3]
        if depth < 0.05 or np.linalg.norm(eye - centre) < RADIUS:
            return None
        side = 3 * RADIUS * camera.intrinsics[0, 0] / depth
        x, y = camera.project(centre)
        return float(x - side / 2), float(y - side / 2), float(side)


def make_little_head(data: bytes, model, progress, *, face=0) -> LittleHead:
    """A maker (see `backend.pipeline.catalog`)."""
    progress(0.1, "reading")
    try:
        image = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    except (OSError, SyntaxError) as error:  # The second of Pillow's, for a broken PNG.
        raise TurboPortraitError("not_an_image") from error
    progress(0.9, "modelling")
    return LittleHead(hashlib.sha256(b"little" + data + model.checksum.encode() + bytes([face])).hexdigest(), image)


class Seen(float):
    """What `Brighten` keeps of portraits: the first one's mean, and their pictures."""

    images = ()

    def joined(self, other: Seen) -> Seen:
        grown = Seen(self)
        grown.images = (*self.images, *other.images)
        return grown


class Brighten:
    """A refiner whose work is easy to tell: 40 levels brighter, and a trace of the noise's seed."""

    size = 64

    def __init__(self) -> None:
        self.calls: list[int] = []

    def encode_reference(self, image: np.ndarray, place=None) -> Seen:
        assert image.shape == (64, 64, 4)
        seen = Seen(image[..., :3].mean())
        seen.images = (image,)
        return seen

    def refine(self, views, reference, noise_level=0.1, seed=0):
        self.calls.append(len(views))
        assert isinstance(reference, float)
        change = 40 + seed % 3
        return [np.clip(view.rgba[..., :3].astype(int) + change, 0, 255).astype(np.uint8) for view in views]

    def refine_batch(self, samples, reference, noise_level=0.1, seed=0, warn=None):
        return [self.refine(views, reference, noise_level, seed) for views in samples]


def little_catalog(refiner=None, maker=make_little_head) -> Catalog:
    """A catalog of these."""
    return Catalog(
        makers={"little": lambda: maker},
        head_models={"open_head": load_head_model},
        presets={"compact": lambda device: refiner or Brighten()},
    )


def _ball(color: np.ndarray) -> RiggedMesh:
    latitudes, longitudes = np.linspace(0, np.pi, 24), np.linspace(0, 2 * np.pi, 48, endpoint=False)
    lat, lon = (grid.ravel() for grid in np.meshgrid(latitudes, longitudes, indexing="ij"))
    unit = np.column_stack([np.sin(lat) * np.sin(lon), np.cos(lat), np.sin(lat) * np.cos(lon)])
    nose = np.clip(unit[:, 2] - 0.95, 0, None)[:, None]
    vertices = (RADIUS * unit * (1 + 4 * nose)).astype(np.float32)
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(23), np.arange(48), indexing="ij"))
    a, b = i * 48 + j, i * 48 + (j + 1) % 48
    faces = np.concatenate([np.column_stack([a, a + 48, b]), np.column_stack([b, a + 48, b + 48])]).astype(np.int32)
    shaded = np.clip(color * (0.6 + 0.3 * unit[:, 2:]) * (1 - 0.3 * (np.sin(9 * lon) > 0))[:, None], 0, 255)
    count = len(vertices)
    weights = np.zeros((count, 5), np.float32)
    weights[:, 1] = 1
    joints = np.zeros((5, 3), np.float32)
    joints[1, 1] = -0.1
    # Each vertex has a texel of its own.
    texture = np.full((24, 48, 4), 255, np.uint8)
    texture[..., :3] = shaded.reshape(24, 48, 3)
    return RiggedMesh(
        vertices=vertices,
        faces=faces,
        expression_vertices=np.arange(4, dtype=np.int32),
        expression_offsets=np.zeros((2, 4, 3), np.float32),
        expression_names=("jawOpen", "eyeBlinkLeft"),
        joints=joints,
        parents=np.array([-1, 0, 1, 1, 1], np.int32),
        skin_weights=weights,
        uv=np.float32(np.stack([(np.arange(count) % 48 + 0.5) / 48, 1 - (np.arange(count) // 48 + 0.5) / 24], 1)),
        uv_faces=faces,
        texture=texture,
        confidence=np.full((24, 48), 255, np.uint8),
    )


def _tracked(image: np.ndarray) -> TrackedPortrait:
    crop = np.array(Image.fromarray(image).resize((256, 256)))
    return TrackedPortrait(
        image=crop,
        regions=Regions(np.tile(np.eye(6, dtype=np.float32)[1], (256, 256, 1)), np.ones((256, 256), np.float32), crop),
        valid=np.ones((256, 256), bool),
        landmarks=np.zeros((478, 3), np.float32),
        camera=PORTRAIT,
        betas=np.zeros(10, np.float32),
        parameters=HeadParameters(),
        vertices=np.zeros((1, 3), np.float32),
        neutral_vertices=np.zeros((1, 3), np.float32),
        residual=np.zeros(478, np.float32),
        warnings=(("several_faces", "The largest of 2 faces was taken."),),
        image_digest="0" * 64,
    )
