"""The bust avatar: a textured, rigged mesh that any pinhole camera can film."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from backend.avatars.base import RenderedView
from backend.avatars.bust.build import build_bust
from backend.avatars.bust.portrait import Portrait
from backend.avatars.bust.shading import LEAST_ALPHA, MOST_ALPHA, face_alphas, facing, peel, shade
from backend.avatars.framing import HeadFraming
from backend.geometry.posing import posed_vertices
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import JOINTS, HeadParameters
from backend.protocol.rigged_mesh import RiggedMesh
from backend.tracking import TrackedPortrait, track
from flame import HeadModel

SAMPLES = 2
"""Samples per pixel in each direction up to LARGEST_SUPERSAMPLED, one beyond."""
LARGEST_SUPERSAMPLED = 1024
EYES = [JOINTS.index("eye_left"), JOINTS.index("eye_right")]


class BustAvatar:
    """See `backend.avatars.base.Avatar`."""

    per_pixel = textured = True

    def __init__(self, identity: str, tracked: TrackedPortrait, mesh: RiggedMesh, cloth: np.ndarray):
        """`identity` tells what the mesh was made of; `cloth` (N,) bool, the vertices that follow no head."""
        self._identity, self._cloth = identity, cloth
        texture = np.ascontiguousarray(mesh.texture)
        self.id = hashlib.sha256(
            f"{identity}:{texture.shape}".encode() + hashlib.sha256(texture.data).digest()
        ).hexdigest()
        self.tracked = tracked
        self._mesh = mesh
        self._framing = HeadFraming.of(tracked, mesh.joints, mesh.parents)
        self._head = np.where(cloth, 0, 1 - mesh.skin_weights[:, 0]).astype(np.float32)
        self._places = (mesh.vertices - mesh.joints[EYES].mean(0)).astype(np.float32)
        at_portrait = posed_vertices(mesh, tracked.parameters)
        self._portrait_pixels = tracked.camera.project(at_portrait.astype(float)).astype(np.float32)
        self._portrait_facing = facing(at_portrait, mesh.faces, _eye(tracked.camera))
        height, width = mesh.texture.shape[:2]
        texels = [mesh.uv[:, 0] * width - 0.5, (1 - mesh.uv[:, 1]) * height - 0.5]
        self._texels = np.column_stack(texels).astype(np.float32)
        self._atlas = np.ascontiguousarray(np.dstack([mesh.texture, mesh.confidence]))
        low, high = face_alphas(self._texels, mesh.uv_faces, mesh.texture[..., 3])
        solid, clear = low >= MOST_ALPHA, (low < MOST_ALPHA) & (high > LEAST_ALPHA)
        pick = lambda chosen: (np.ascontiguousarray(mesh.faces[chosen]), np.ascontiguousarray(mesh.uv_faces[chosen]))  # noqa: E731
        self._solid, self._clear = pick(solid), pick(clear)

    def mesh(self) -> RiggedMesh:
        return self._mesh

    def with_texture(self, texture: np.ndarray) -> BustAvatar:
        """The same avatar with another texture (H, W, 4) uint8 sRGB, of any size."""
        confidence = self._mesh.confidence
        if confidence.shape != texture.shape[:2]:
            confidence = cv2.resize(confidence, texture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        mesh = replace(self._mesh, texture=texture, confidence=confidence)
        return BustAvatar(self._identity, self.tracked, mesh, self._cloth)

    def render(self, cameras: Sequence[Camera], parameters: HeadParameters) -> list[RenderedView]:
        """Raw views of one pose, one per camera, of any size. A camera that sees nothing gives an empty view."""
        vertices = posed_vertices(self._mesh, parameters)
        return [self._render(camera, vertices, parameters) for camera in cameras]

    def _render(self, camera: Camera, vertices: np.ndarray, parameters: HeadParameters) -> RenderedView:
        screen = camera.to_screen(vertices.astype(float))
        if self._framing.inside(camera, parameters) or not (screen[:, 2] > 0).any():
            return RenderedView.empty(camera.width, camera.height)
        samples = SAMPLES if max(camera.width, camera.height) <= LARGEST_SUPERSAMPLED else 1
        screen[screen[:, 2] <= 0] = np.nan
        screen[:, :2] *= samples
        layers = peel(screen, self._clear[0], self._solid[0], camera.width * samples, camera.height * samples)
        now = facing(vertices, self._mesh.faces, _eye(camera))
        resolved = np.clip(self._portrait_facing / np.maximum(now, 1e-3), 0, 1)
        attributes = np.column_stack([self._head, resolved, self._places, self._portrait_pixels]).astype(np.float32)
        rgba, depth, confidence, head, place, warped = shade(
            layers, self._clear, self._solid, self._texels, attributes, self._atlas, self.tracked.image, samples
        )
        return RenderedView(rgba, depth, confidence, self._framing.turned(camera, parameters), head, place, warped)

    def portrait_place(self, size: int) -> np.ndarray | None:
        """`RenderedView.place` of the portrait itself at size x size pixels."""
        camera = self.tracked.camera
        return self.render([camera.crop(0, 0, camera.width, size)], self.tracked.parameters)[0].place

    def bounds(self, camera: Camera, parameters: HeadParameters) -> tuple[float, float, float] | None:
        """The square (x0, y0, side), in pixels, that frames the head as the portrait was framed; None if unseen."""
        return self._framing.bounds(camera, parameters)


def _eye(camera: Camera) -> np.ndarray:
    return camera.center.astype(np.float32)


def register_bust(
    photo: bytes,
    model: HeadModel,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
    *,
    face: int = 0,
) -> BustAvatar:
    """Make a bust from the bytes of an image file.

    Args:
        progress: called with a fraction in [0, 1] and the name of the stage that begins.
        face: of several faces, counted from 1 at the left; 0 for the largest.

    Raises:
        TrackingError: no image, no face, and the like.
    """
    progress(0.0, "tracking")
    tracked = track(photo, model, number=face)
    progress(0.5, "building")
    avatar = make_bust(tracked, model)
    progress(1.0, "done")
    return avatar


def make_bust(tracked: TrackedPortrait, model: HeadModel) -> BustAvatar:
    """Make a bust of a portrait that was tracked with this head model."""
    mesh, cloth = build_bust(tracked, Portrait.of(tracked), model)
    return BustAvatar(f"bust:{tracked.image_digest}:{model.checksum}", tracked, mesh, cloth)
