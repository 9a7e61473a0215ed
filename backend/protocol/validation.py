"""The numbers of a render request: are they ones that can be rendered?"""

from __future__ import annotations

import numpy as np

from backend.protocol import limits
from backend.protocol.camera import Camera
from backend.protocol.errors import TurboPortraitError
from backend.protocol.head_parameters import JOINTS, HeadParameters
from backend.protocol.messages import Heartbeat, Register, Render, Request


def check_request(request: Request | Heartbeat) -> None:
    """Check what types cannot say.

    Raises:
        TurboPortraitError: bad_parameters, bad_camera, unsupported_lens, message_too_large or malformed_message.
    """
    if isinstance(request, Register):
        if request.photo.nbytes > limits.MAX_PHOTO_BYTES:
            raise TurboPortraitError("message_too_large", f"a photograph of {request.photo.nbytes >> 20} MiB")
        if request.texture is not None:
            check_texture(request.texture)
    if isinstance(request, Render):
        if len({view.key for view in request.views}) != len(request.views):
            raise TurboPortraitError("malformed_message", "two views have the same key")
        check_parameters(request.parameters)
        for view in request.views:
            check_camera(view.camera)
        if sum(view.camera.width * view.camera.height for view in request.views) > limits.MAX_REQUEST_PIXELS:
            raise TurboPortraitError("message_too_large", f"more than {limits.MAX_REQUEST_PIXELS} pixels")


def check_texture(texture: np.ndarray) -> None:
    """A texture (H, W, 4) of a size within the limits.

    Raises:
        TurboPortraitError: message_too_large or malformed_message.
    """
    height, width = texture.shape[:2]
    if max(height, width) > limits.MAX_TEXTURE_SIDE:
        said = f"a texture of {width} x {height}, {limits.MAX_TEXTURE_SIDE} on a side are possible"
        raise TurboPortraitError("message_too_large", said)
    if min(height, width) < 2:
        raise TurboPortraitError("malformed_message", f"a texture of {width} x {height}")


def check_parameters(parameters: HeadParameters) -> None:
    """Finite, of the right lengths, and within what a head can do.

    Raises:
        TurboPortraitError: bad_parameters.
    """
    pose, expression, translation = (
        np.array(values, float) for values in (parameters.pose, parameters.expression, parameters.translation)
    )
    if pose.shape != (3 * len(JOINTS),) or translation.shape != (3,) or expression.size > limits.MAX_EXPRESSION:
        _refuse("15 numbers of pose, 3 of translation, not too many of expression")
    for name, values in (("pose", pose), ("expression", expression), ("translation", translation)):
        if not np.isfinite(values).all():
            _refuse(f"the {name} has values that are not finite")
    angle = limits.MAX_JOINT_ANGLE
    if np.abs(pose).max() > angle or np.linalg.norm(pose.reshape(-1, 3), axis=1).max() > angle:
        _refuse("a joint turns by more than a full turn")
    if np.abs(expression).max(initial=0) > limits.MAX_EXPRESSION_COEFFICIENT:
        _refuse(f"an expression coefficient beyond ±{limits.MAX_EXPRESSION_COEFFICIENT:g}")
    if np.abs(translation).max() > limits.MAX_TRANSLATION:
        _refuse(f"a translation of more than {limits.MAX_TRANSLATION:g} m")


def check_camera(camera: Camera) -> None:
    """A pinhole camera of finite numbers, a rigid transform, and a size within the limits.

    Raises:
        TurboPortraitError: bad_camera or unsupported_lens.
    """
    if camera.model != "pinhole":
        raise TurboPortraitError("unsupported_lens", f"{camera.model[:40]!r} was asked for")
    if len(camera.K) != 9 or len(camera.world_to_camera) != 16:
        _refuse_camera("K has 9 numbers and world_to_camera 16")
    K, world_to_camera = camera.intrinsics, camera.extrinsics
    if not (np.isfinite(K).all() and np.isfinite(world_to_camera).all()):
        _refuse_camera("not all of its numbers are finite")
    if not (1 <= camera.width <= limits.MAX_IMAGE_SIDE and 1 <= camera.height <= limits.MAX_IMAGE_SIDE):
        _refuse_camera(f"{camera.width} x {camera.height} pixels, 1 to {limits.MAX_IMAGE_SIDE} on a side are possible")
    if not (1e-3 < K[0, 0] < 1e7 and 1e-3 < K[1, 1] < 1e7) or np.abs(K).max() > 1e9:
        _refuse_camera("its focal length is zero, negative or too large")
    if K[1, 0] != 0 or (K[2] != (0, 0, 1)).any():
        _refuse_camera("K is not upper triangular with 1 in its last corner")
    rotation = world_to_camera[:3, :3]
    if (
        np.abs(rotation).max() > 2
        or np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3
        or np.linalg.det(rotation) < 0
    ):
        _refuse_camera("its transform is not a rotation and a translation")
    if (world_to_camera[3] != (0, 0, 0, 1)).any() or np.abs(world_to_camera[:3, 3]).max() > limits.MAX_TRANSLATION:
        _refuse_camera(f"it is more than {limits.MAX_TRANSLATION:g} m from the head")


def _refuse(detail: str) -> None:
    raise TurboPortraitError("bad_parameters", detail)


def _refuse_camera(detail: str) -> None:
    raise TurboPortraitError("bad_camera", detail)
