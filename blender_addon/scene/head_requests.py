"""The heads that cameras see, read from the evaluated scene: all that the backend must know to render them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import bpy
import numpy as np
from mathutils import Matrix

from backend.protocol import HeadParameters

from .camera import Eye, HeadView, view_of_head
from .head import visible_heads
from .parameters import head_parameters
from .portrait import portrait_bytes
from .texture import image_key, texture_of, texture_pixels, texture_sha256

Viewpoint = Callable[[Matrix], HeadView]
"""What sees heads: gives the camera over head space for a head object's world matrix, or raises CameraError."""


@dataclass(frozen=True)
class HeadRequest:
    """One head to be rendered, read from the scene.

    Attributes:
        avatar: its id as the file has it, empty if the head has been painted on since.
        portrait_sha256: of the photo's bytes.
        portrait: gives the photo's bytes, empty if they are lost; asked for a backend that does not know the avatar.
        views: the cameras; all of them are refined together, and the first is the one that is shown.
        texture_sha256: of the texture's pixels, empty without one.
        texture: gives the texture (H, W, 4) uint8, None without one; asked for as the photo is.
    """

    name: str
    avatar: str
    maker: str
    head_model: str
    portrait_sha256: str
    portrait: Callable[[], bytes] = field(compare=False)
    parameters: HeadParameters
    views: tuple[HeadView, ...]
    texture_sha256: str = ""
    face: int = 0
    texture: Callable[[], np.ndarray | None] = field(default=lambda: None, compare=False)

    @property
    def view(self) -> HeadView:
        """What the first camera sees."""
        return self.views[0]

    @property
    def identity(self) -> tuple[str, str, str, str, int]:
        """What makes an avatar the one that it is, whatever id a backend gives it."""
        return self.portrait_sha256, self.maker, self.head_model, self.texture_sha256, self.face


def head_requests(
    depsgraph: bpy.types.Depsgraph,
    scene: bpy.types.Scene,
    camera: bpy.types.Object | None = None,
    others: Sequence[bpy.types.Object] = (),
    whole: bool = False,
) -> list[HeadRequest]:
    """Every visible head with a portrait as a camera sees it, by default the scene's.

    Args:
        others: cameras whose views are refined together with the first.
        whole: have the whole frame, whatever the render border.

    Raises:
        CameraError: see `view_of_head`; the message names the head.
        ValueError: a head's bones or mesh are missing.
    """
    cameras = [camera or scene.camera, *others]
    viewpoints = [camera_viewpoint(each, scene.render, depsgraph, whole) for each in cameras]
    return heads_seen_from(depsgraph, viewpoints, now=True)


def camera_viewpoint(
    camera: bpy.types.Object,
    render: bpy.types.RenderSettings,
    depsgraph: bpy.types.Depsgraph,
    whole: bool = False,
    eye: Eye | None = None,
) -> Viewpoint:
    """What a camera sees in a render; see `view_of_head`."""
    return lambda head_matrix: view_of_head(camera, head_matrix, render, depsgraph, whole, eye)


def heads_seen_from(
    depsgraph: bpy.types.Depsgraph, viewpoints: Sequence[Viewpoint], now: bool = False
) -> list[HeadRequest]:
    """Every visible head with a portrait, with one view per viewpoint; errors as `head_requests`.

    Args:
        now: with what is being painted on it, see `texture_sha256`.
    """
    requests = []
    for seen in visible_heads(depsgraph):
        head, properties = seen.head, seen.head.turboportrait
        if not properties.avatar_id:
            continue
        try:
            views = tuple(viewpoint(seen.matrix) for viewpoint in viewpoints)
        except ValueError as error:
            raise type(error)(f"{seen.name}: {error}") from None
        image, painted = texture_of(head), texture_sha256(head, now)
        requests.append(
            HeadRequest(
                name=seen.name,
                avatar=properties.avatar_id if painted == properties.texture_sha256 else "",
                maker=properties.maker,
                head_model=properties.head_model,
                portrait_sha256=properties.portrait_sha256,
                portrait=partial(portrait_bytes, image_key(properties.portrait), properties.portrait_sha256),
                parameters=head_parameters(head, depsgraph),
                views=views,
                texture_sha256=painted,
                face=properties.portrait_face,
                texture=partial(texture_pixels, image_key(image)),
            )
        )
    return requests
