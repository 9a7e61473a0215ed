"""From a registered portrait to a head in the scene: the mesh, the portrait itself, its camera."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import bpy
import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_

from backend.protocol import Camera, RiggedMesh, TurboPortraitError
from backend.protocol.limits import MAX_PHOTO_BYTES
from backend.protocol.messages import Registered
from backend.protocol.reading import read_bounded
from flame import load_head_model

from .camera import place_camera, render_size
from .camera_moves import size_camera
from .head import add_head, replace_head, units_per_metre
from .parameters import apply_parameters
from .pose_controls import remember_portrait
from .texture import ImageKey, sha256_of

PHOTO_COLOURS = "Standard"
"""The view transform that shows a picture's colours as they are."""


def read_photo(path: str) -> bytes:
    """The bytes of a portrait file.

    Raises:
        TurboPortraitError: not_an_image, where the file cannot be read; message_too_large.
    """
    try:
        return read_bounded(path, MAX_PHOTO_BYTES)
    except OSError as error:
        if error.errno == errno.EFBIG:
            said = rpt_("the file has more than {count} MiB").format(count=MAX_PHOTO_BYTES >> 20)
            raise TurboPortraitError("message_too_large", said) from error
        said = rpt_("'{file}' cannot be read: {reason}.")
        raise TurboPortraitError(
            "not_an_image", sentence=said.format(file=Path(path).name, reason=error.strerror)
        ) from error


def show_avatar(
    context: bpy.types.Context,
    head: bpy.types.Object | None,
    path: str,
    photo: bytes,
    registered: Registered,
    mesh: RiggedMesh | None,
) -> bpy.types.Object:
    """Show a registered avatar: as a new head with the portrait's expression, or in place of `head`'s mesh.

    Raises:
        ValueError: `head` belongs to another file.
    """
    if head is not None and (head.library or head.override_library):
        said = rpt_("{head} is linked from another file: register its portrait there, or select nothing for a new head")
        raise ValueError(said.format(head=head.name))
    source = mesh if mesh is not None else load_head_model()
    if head is None:
        head = add_head(context, source, Path(path).stem)
        apply_parameters(head, registered.parameters)
    else:
        replace_head(context, head, source)
    remember_portrait(head, registered.parameters)
    properties = head.turboportrait
    properties.avatar_id = registered.avatar
    properties.maker = registered.maker
    properties.head_model = registered.head_model
    properties.portrait = pack_portrait(path, photo)
    properties.portrait_sha256 = hashlib.sha256(photo).hexdigest()
    properties.texture_sha256 = "" if mesh is None else sha256_of(mesh.texture)
    if context.scene.camera is None:
        context.scene.camera = add_portrait_camera(context, head, registered.camera)
    return head


def portrait_bytes(key: ImageKey, sha256: str) -> bytes:
    """The portrait file as it was registered; empty if it is lost.

    It is packed into the .blend, or in the file that the user has unpacked it to, which is known by its checksum.
    """
    image = bpy.data.images.get(key)
    if image is None:
        return b""
    if image.packed_file:
        return bytes(image.packed_file.data)
    try:
        found = read_photo(bpy.path.abspath(image.filepath, library=image.library))
    except TurboPortraitError:
        return b""
    return found if hashlib.sha256(found).hexdigest() == sha256 else b""


def pack_portrait(path: str, photo: bytes) -> bpy.types.Image:
    """The file's very bytes as a packed image: the .blend then needs no other file, and the avatar's id is the same."""
    name = Path(path).name
    for image in bpy.data.images:
        if image.packed_file and image.packed_file.size == len(photo) and bytes(image.packed_file.data) == photo:
            return image
    image = packed_image(name, photo)
    image.filepath_raw = path
    return image


def packed_image(name: str, data: bytes) -> bpy.types.Image:
    """An image file's bytes as an image of the .blend."""
    image = bpy.data.images.new(name, 1, 1)
    image.source = "FILE"
    image.pack(data=data, data_len=len(data))
    return image


def add_portrait_camera(context: bpy.types.Context, head: bpy.types.Object, crop: Camera) -> bpy.types.Object:
    """A camera that sees the head as the portrait did, the tracked square as large as the render's frame allows.

    Args:
        crop: the portrait's camera over head space, for the square that tracking cut out.
    """
    render = context.scene.render
    width, height = render_size(render)
    aspect = render.pixel_aspect_y / render.pixel_aspect_x
    scale = min(width, height * aspect) / crop.width
    fit = np.array([[scale, 0, width / 2 - scale * crop.width / 2], [0, scale, 0], [0, 0, 1]])
    fit[1] = [0, scale / aspect, height / 2 - scale / aspect * crop.height / 2]
    camera = bpy.data.objects.new(f"{head.name} portrait", bpy.data.cameras.new(f"{head.name} portrait"))
    size_camera(camera.data, units_per_metre(context.scene))
    context.collection.objects.link(camera)
    wide = Camera.from_arrays(fit @ crop.intrinsics, crop.extrinsics, width, height)
    place_camera(camera, wide, head.matrix_world, aspect)
    return camera
