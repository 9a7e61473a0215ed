"""A head's texture, which is the truth of how it looks: kept in the .blend, sent along with its portrait, painted on.

Reading sixteen million numbers takes a blink, so that a texture is read again only after it was painted on.
"""

from __future__ import annotations

import hashlib

import bpy
import numpy as np
from bpy.app.handlers import persistent

from .handlers import register_handlers_factory
from .head import mesh_of
from .material import pixels_of

_known: dict[int, str] = {}
"""By an image's session_uid the hash of its pixels."""
_painted: set[int] = set()
"""Images that are or were under a brush since they were read."""


def texture_of(head: bpy.types.Object) -> bpy.types.Image | None:
    """The image on a head's mesh, None where it is plain."""
    mesh_object = mesh_of(head)
    return None if mesh_object is None else mesh_object.data.turboportrait.texture


def texture_sha256(head: bpy.types.Object, now: bool = False) -> str:
    """The SHA-256 of the texture's pixels, empty without one.

    While a brush is on it, it is as it was before; with `now` it is read whatever happens.
    """
    image = texture_of(head)
    if image is None:
        return ""
    key = image.session_uid
    mesh_object = mesh_of(head)
    if mesh_object is not None and mesh_object.mode == "TEXTURE_PAINT":
        _painted.add(key)
    elif key in _painted:
        _painted.discard(key)
        _known.pop(key, None)
    if key not in _known or (now and image.is_dirty):
        _known[key] = sha256_of(pixels_of(image))
    return _known[key]


ImageKey = tuple[str, "str | None"]


def image_key(image: bpy.types.Image | None) -> ImageKey:
    """What finds an image again, after an undo too: its name, and the file that it is linked from."""
    return ("", None) if image is None else (image.name, image.library.filepath if image.library else None)


def texture_pixels(key: ImageKey) -> np.ndarray | None:
    """(H, W, 4) uint8 of an image in the .blend, None if it is gone."""
    image = bpy.data.images.get(key)
    return pixels_of(image) if image and image.size[0] else None


def sha256_of(pixels: np.ndarray) -> str:
    """The hash by which a texture (H, W, 4) uint8 is known."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


@persistent
def _keep_paint(*_: object) -> None:
    """Pack what was painted before the .blend is saved: Blender itself would leave it out."""
    for mesh in bpy.data.meshes:
        image = mesh.turboportrait.texture
        # An image that is packed and has no changes would be unpacked.
        if image is not None and image.is_dirty:
            image.pack()


@persistent
def _notice_paint(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    for update in depsgraph.updates:
        if isinstance(update.id, bpy.types.Image):
            _known.pop(update.id.original.session_uid, None)


@persistent
def _forget(*_: object) -> None:
    _known.clear()
    _painted.clear()


HANDLERS = {"save_pre": _keep_paint, "depsgraph_update_post": _notice_paint, "load_post": _forget}

register, unregister = register_handlers_factory(HANDLERS)
