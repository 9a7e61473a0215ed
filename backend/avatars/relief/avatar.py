"""The relief avatar: a textured, rigged mesh that any pinhole camera can film."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from backend.avatars.base import RenderedView
from backend.avatars.framing import HeadFraming
from backend.avatars.posing import posed_vertices
from backend.avatars.relief.build import build_mesh
from backend.avatars.relief.shading import shade, shown_places, view_attributes
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import JOINTS, HeadParameters
from backend.protocol.rigged_mesh import RiggedMesh
from backend.rasterizer import rasterize
from backend.tracking import TrackedPortrait, track
from flame import HeadModel

SAMPLES = 2
"""Samples per pixel in each direction up to LARGEST_SUPERSAMPLED, one beyond."""
LARGEST_SUPERSAMPLED = 1024
EYES = [JOINTS.index("eye_left"), JOINTS.index("eye_right")]


class ReliefAvatar:
    """See `backend.avatars.base.Avatar`."""

    per_pixel = True

    def __init__(self, identifier: str, tracked: TrackedPortrait, mesh: RiggedMesh, cloth: np.ndarray):
        self.id = identifier
        self.tracked = tracked
        self._mesh = mesh
        self._framing = HeadFraming.of(tracked, mesh.joints, mesh.parents)
        # Clothes stay as they are, those that follow the neck as well.
        self._head = np.where(cloth, 0, 1 - mesh.skin_weights[:, 0])
        self._places = (mesh.vertices - mesh.joints[EYES].mean(0)).astype(np.float32)

    def mesh(self) -> RiggedMesh:
        return self._mesh

    def posed(self, parameters: HeadParameters) -> np.ndarray:
        """(N, 3) float32 vertices in head space.

        Raises:
            ValueError: more expression coefficients than the head model has.
        """
        return posed_vertices(self._mesh, parameters)

    def render(self, cameras: Sequence[Camera], parameters: HeadParameters) -> list[RenderedView]:
        """Raw views of one pose, one per camera, of any size. A camera that sees nothing gives an empty view."""
        vertices = self.posed(parameters)
        return [self._render(camera, vertices, parameters) for camera in cameras]

    def _render(self, camera: Camera, vertices: np.ndarray, parameters: HeadParameters) -> RenderedView:
        mesh = self._mesh
        transform = camera.extrinsics.astype(np.float32)
        points = vertices @ transform[:3, :3].T + transform[:3, 3]
        samples = SAMPLES if max(camera.width, camera.height) <= LARGEST_SUPERSAMPLED else 1
        if self._framing.inside(camera, parameters) or not (points[:, 2] > 0).any():
            return RenderedView.empty(camera.width, camera.height)
        intrinsics = camera.intrinsics.astype(np.float32)
        depth = np.where(points[:, 2] > 0, points[:, 2], np.nan)
        screen = np.empty_like(points)
        screen[:, :2] = (points @ intrinsics.T)[:, :2] / depth[:, None] * samples
        screen[:, 2] = depth
        raster = rasterize(screen, mesh.faces, camera.width * samples, camera.height * samples)
        rgba, depth, confidence, head, warped = shade(
            raster, mesh.faces, view_attributes(mesh, points, self._head), mesh.texture, samples
        )
        place = shown_places(raster, mesh.faces, self._places, samples)
        return RenderedView(rgba, depth, confidence, self._framing.turned(camera, parameters), head, place, warped)

    def portrait_place(self, size: int) -> np.ndarray:
        """`RenderedView.place` of the portrait itself at size x size pixels."""
        camera = self.tracked.camera
        return self.render([camera.crop(0, 0, camera.width, size)], self.tracked.parameters)[0].place

    def bounds(self, camera: Camera, parameters: HeadParameters) -> tuple[float, float, float] | None:
        """The square (x0, y0, side), in pixels, that frames the head as the portrait was framed; None if unseen."""
        return self._framing.bounds(camera, parameters)


def register_relief(
    photo: bytes, model: HeadModel, progress: Callable[[float, str], None] = lambda fraction, stage: None
) -> ReliefAvatar:
    """Make a relief avatar from the bytes of an image file.

    Args:
        progress: called with a fraction in [0, 1] and the name of the stage that begins.

    Raises:
        TrackingError: no image, no face, and the like.
    """
    progress(0.0, "tracking")
    tracked = track(photo, model)
    progress(0.6, "building")
    mesh, cloth = build_mesh(tracked, model)
    progress(1.0, "done")
    identifier = hashlib.sha256(f"relief:{tracked.image_digest}:{model.checksum}".encode()).hexdigest()
    return ReliefAvatar(identifier, tracked, mesh, cloth)
