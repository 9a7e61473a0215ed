"""The avatar of the paper: GPAvatar's network behind the interface that all makers share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from backend.avatars.base import RenderedView
from backend.avatars.framing import HeadFraming
from backend.avatars.gpavatar.cameras import camera_rays, head_points, rectify
from backend.avatars.gpavatar.config import GPAvatarConfig
from backend.avatars.gpavatar.folded import FoldedField
from backend.avatars.gpavatar.network import GPAvatarNetwork, channels_last
from backend.avatars.gpavatar.placing import place
from backend.avatars.gpavatar.preview import preview_mesh
from backend.avatars.gpavatar.volume import Rays
from backend.geometry.crops import overlaps
from backend.protocol.camera import Camera
from backend.protocol.errors import TurboPortraitError
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.rigged_mesh import RiggedMesh
from backend.tracking import TrackedPortrait, track
from flame import HeadModel

StyleUNetName = Literal["style_tplane", "up_renderer"]

SEEN = 1 / 255
"""Opacity from which on a pixel has a depth."""


class Renderer:
    """The network on its device, made ready once and shared by all its avatars.

    Args:
        network: in float32 on any device.
        device: "cpu" or "cuda".
        dtype: of everything but distances; by default half precision on a GPU and float32 on a CPU.
    """

    def __init__(self, network: GPAvatarNetwork, device: str = "cpu", dtype: torch.dtype | None = None) -> None:
        self.device = torch.device(device)
        self.dtype = dtype or (torch.float16 if self.device.type == "cuda" else torch.float32)
        self.network = channels_last(network.to(self.device, self.dtype)).eval()
        self.config = network.config
        self.field = FoldedField(self.network.nerf_mlp)

    @torch.inference_mode()
    def build_planes(self, portraits: Tensor | Sequence[Tensor], noise: Sequence[Tensor] | None) -> Tensor:
        """The merged planes (3, C, S, S) of P portraits (3, S, S); see `GPAvatarNetwork.encode`."""
        planes = self.network.encode([p.to(self.device, self.dtype) for p in portraits], noise)
        return self.network.merge(planes)

    @torch.inference_mode()
    def render(
        self, rays: Rays, points: Tensor, planes: Tensor, noise: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (V, 3, image, image) in [0, 1] over black, opacities and mean ray depths (V, render, render).

        Depths are in the box's unit and times the opacity.
        """
        config = self.config
        rays = Rays(rays.origins.to(self.device), rays.directions.to(self.device))
        seen = self.field.render(rays, points.to(self.device), planes, config.coarse_samples, config.fine_samples)
        shape = (config.render_size, config.render_size)
        features = seen.features.transpose(1, 2).unflatten(-1, shape)
        pictures = self.network.picture(self._image(features), noise)
        return pictures.clamp(0, 1), seen.opacity[..., 0].unflatten(-1, shape), seen.depth[..., 0].unflatten(-1, shape)

    def noise(self, part: StyleUNetName, seed: int) -> list[Tensor]:
        """StyleGAN's noise images for one of the two style U-Nets.

        Drawn once for each avatar, not afresh at every call as the published code does: a still camera gives still
        pixels.
        """
        decoder = getattr(self.network, part).stylegan_decoder
        images = decoder.drawn_noise(1, torch.Generator().manual_seed(seed))
        return [image.to(self.device, self.dtype) for image in images]

    def _image(self, images: Tensor) -> Tensor:
        return images.to(self.device, self.dtype, memory_format=torch.channels_last)


class GPAvatar:
    """See `backend.avatars.base.Avatar`.

    Args:
        identifier: the id.
        tracked: the portrait's tracking.
        model: the head model; it must have the network's number of points.
        renderer: the network.
        portrait: (3, S, S) float32 from `cameras.rectify`.
    """

    per_pixel = textured = False

    def __init__(
        self, identifier: str, tracked: TrackedPortrait, model: HeadModel, renderer: Renderer, portrait: Tensor
    ) -> None:
        self.id = identifier
        self.tracked = tracked
        self._model, self._renderer = model, renderer
        self._mesh = preview_mesh(tracked, model)
        self._framing = HeadFraming.of(tracked, self._mesh.joints, self._mesh.parents)
        seed = int(hashlib.sha256(identifier.encode()).hexdigest()[:8], 16)
        self._planes = renderer.build_planes([portrait], renderer.noise("style_tplane", seed))
        self._picture_noise = renderer.noise("up_renderer", seed)

    def mesh(self) -> RiggedMesh:
        """The head model with the photo on it, for previews; the views come from the network."""
        return self._mesh

    def with_texture(self, texture: np.ndarray) -> GPAvatar:
        """Itself: the views come from the network, whatever the preview looks like."""
        return self

    def portrait_place(self, size: int) -> None:
        """A volume has no surface whose places are known."""

    def bounds(self, camera: Camera, parameters: HeadParameters) -> tuple[float, float, float] | None:
        """The square (x0, y0, side), in pixels, that frames the head as the portrait was framed; None if unseen."""
        return self._framing.bounds(camera, parameters)

    def render(self, cameras: Sequence[Camera], parameters: HeadParameters) -> list[RenderedView]:
        """Raw views of one pose, one per camera, of any size. A camera that sees nothing gives an empty view.

        The network renders the head's square of each camera in its trained framing; the result is put into the
        camera's frame. The confidence is zero: the network vouches for no pixel of the photo.
        """
        views = [RenderedView.empty(camera.width, camera.height) for camera in cameras]
        squares = {
            i: square
            for i, camera in enumerate(cameras)
            if not self._framing.inside(camera, parameters) and (square := self.bounds(camera, parameters))
        }
        squares = {
            i: square
            for i, square in squares.items()
            if np.isfinite(square).all() and overlaps(square, cameras[i].width, cameras[i].height)
        }
        if not squares:
            return views
        config = self._renderer.config
        transform = self._framing.head_transform(parameters)
        cast = [
            camera_rays(cameras[i].crop(*square, config.image_size), transform, config.render_size, config.head_scale)
            for i, square in squares.items()
        ]
        rays = Rays(*(torch.cat([getattr(r, name) for r, _ in cast]) for name in ("origins", "directions")))
        points = torch.from_numpy(head_points(self._model, self.tracked.betas, parameters, config.head_scale))
        rendered = self._renderer.render(rays, points, self._planes, self._picture_noise)
        pictures, opacities, depths = (x.float().cpu() for x in rendered)
        for index, (i, square) in enumerate(squares.items()):
            axial = depths[index] * cast[index][1].view_as(depths[index]) / config.head_scale
            view = _view(cameras[i], square, pictures[index], opacities[index], axial)
            views[i] = replace(view, turned=self._framing.turned(cameras[i], parameters))
        return views


def _view(
    camera: Camera, square: tuple[float, float, float], picture: Tensor, opacity: Tensor, depth: Tensor
) -> RenderedView:
    """A picture (3, S, S) over black, opacity and opacity times depth (R, R) in the camera's frame."""
    size = picture.shape[-1]
    # The rays run from border to border of the image, so their ends lie on its edges, not half a cell inside.
    rows = np.linspace(0, len(opacity) - 1, 2 * size + 1, dtype=np.float32)[1::2]
    x, y = np.meshgrid(rows, rows)
    soft = cv2.remap(np.dstack([opacity.numpy(), depth.numpy()]), x, y, cv2.INTER_LINEAR)
    layers = np.dstack([picture.permute(1, 2, 0).numpy(), soft])
    frame = place(layers, square, camera.width, camera.height)
    alpha = frame[..., 3].clip(0, 1)
    visible = alpha > SEEN
    weight = np.where(visible, alpha, 1)[..., None]
    rgb = np.where(visible[..., None], frame[..., :3] / weight, 0)
    rgba = np.dstack([rgb, alpha]).clip(0, 1)
    metres = np.where(visible, frame[..., 4] / weight[..., 0], np.inf).astype(np.float32)
    return RenderedView(np.rint(rgba * 255).astype(np.uint8), metres, np.zeros_like(metres))


def register_gpavatar(
    photo: bytes,
    model: HeadModel,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
    renderer: Renderer | None = None,
    *,
    face: int = 0,
) -> GPAvatar:
    """Make an avatar from a portrait.

    Args:
        photo: the bytes of an image file.
        model: a FLAME head model of 5,023 vertices.
        progress: called with a fraction in [0, 1] and the name of the stage that begins.
        renderer: the network; the installed weights if None.
        face: of several faces, counted from 1 at the left; 0 for the largest.

    Raises:
        TrackingError: no image, no face, and the like.
        TurboPortraitError: wrong_head_model, weights_missing.
    """
    needed = (renderer.config if renderer else GPAvatarConfig()).points
    if len(model.v_template) != needed:
        raise TurboPortraitError(
            "wrong_head_model", f"{model.name} has {len(model.v_template)} vertices, gpavatar needs {needed:,}"
        )
    progress(0.0, "loading the network")
    renderer = renderer or installed_renderer()
    progress(0.1, "tracking")
    tracked = track(photo, model, number=face)
    progress(0.6, "building")
    config = renderer.config
    portrait = rectify(tracked.image, tracked.matte, tracked.camera, config.portrait_size, config.head_scale)
    identifier = hashlib.sha256(f"gpavatar:{tracked.image_digest}:{model.checksum}".encode()).hexdigest()
    avatar = GPAvatar(identifier, tracked, model, renderer, torch.from_numpy(portrait))
    progress(1.0, "done")
    return avatar


def installed_renderer() -> Renderer:
    """The network with the user's weights, on the GPU if there is one.

    Raises:
        TurboPortraitError: weights_missing.
    """
    from backend.models import gpavatar_weights_path

    try:
        path = gpavatar_weights_path()
    except FileNotFoundError as error:
        raise TurboPortraitError("weights_missing", str(error)) from error
    return _renderer(str(path), path.stat().st_mtime_ns, "cuda" if torch.cuda.is_available() else "cpu")


@lru_cache(maxsize=1)
def _renderer(path: str, modified: int, device: str) -> Renderer:
    return Renderer(GPAvatarNetwork.from_file(path), device)
