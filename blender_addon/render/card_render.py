"""Cards in the renders of other engines: each frame shows the heads as they are in that frame.

Blender tells when it has evaluated a frame for a render, and evaluates once more what is changed then.
"""

from __future__ import annotations

import sys

import bpy
import numpy as np
from bpy.app.handlers import persistent
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import TurboPortraitError

from ..connection import preferences
from ..connection.connect import START_SECONDS
from ..connection.error_text import message_of
from ..connection.link import link
from ..connection.tasks import complete
from ..live import session
from ..live.card import card_of, follow
from ..scene import compositing, head_requests
from ..scene.camera import render_size
from ..scene.camera_image import update_image
from ..scene.handlers import register_handlers_factory
from ..scene.head import is_shown
from ..scene.render_options import RenderOptions
from .engine import TurboPortraitEngine, render_in_thread


def cameras_with_cards(depsgraph: bpy.types.Depsgraph) -> list[bpy.types.Object]:
    """Those of the scene whose cards this dependency graph shows."""
    cameras = [thing.original for thing in depsgraph.scene.objects if thing.type == "CAMERA"]
    cards = [(camera, card_of(camera)) for camera in cameras]
    return [camera for camera, card in cards if card is not None and is_shown(card, depsgraph)]


def picture(depsgraph: bpy.types.Depsgraph, camera: bpy.types.Object) -> np.ndarray:
    """What a camera sees of the heads: (H, W, 4) uint8 sRGB, straight alpha; waits for the backend.

    Raises:
        TurboPortraitError, ValueError: see `render_in_thread` and `head_requests.head_requests`; no head is seen.
    """
    scene = depsgraph.scene
    together = next((group for group in session.camera_groups(scene.original) if camera in group), [])
    others = [other for other in together if other != camera]
    heads = head_requests.head_requests(depsgraph, scene, camera, others, whole=True)
    if not heads:
        raise ValueError(rpt_("The scene shows no head with a portrait: register one in the TurboPortrait panel"))
    wanted = preferences.connection()
    task = render_in_thread(wanted, heads, RenderOptions.of(scene), _say)
    views = [seen[0] for seen in complete(task, wanted.timeout * len(heads) + START_SECONDS)]
    return compositing.flatten(views, [head.view.scale for head in heads])


@persistent
def _frame_evaluated(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph | None = None) -> None:
    of_render = depsgraph is not None and depsgraph.mode == "RENDER"
    if not of_render or scene.render.engine == TurboPortraitEngine.bl_idname:
        return
    for camera in cameras_with_cards(depsgraph):
        session.hold()
        try:
            pixels = picture(depsgraph, camera)
        except (TurboPortraitError, ValueError) as error:
            # Another frame's face would pass unnoticed; none does not.
            width, height = render_size(scene.render)
            pixels = np.zeros((height, width, 4), np.uint8)
            template = rpt_("The card of {camera} is empty in frame {frame}. {reason}")
            _say(template.format(camera=camera.name, frame=scene.frame_current, reason=message_of(error)))
        update_image(camera, pixels).update_tag()
        follow(camera, depsgraph)


def _say(line: str) -> None:
    """In the panel and, for renders without a window, on the console."""
    link.say(line, failed=True)
    print(f"TurboPortrait3D: {line}", file=sys.stderr)


@persistent
def _render_ended(*_: object) -> None:
    session.release()


HANDLERS = {"frame_change_post": _frame_evaluated, "render_complete": _render_ended, "render_cancel": _render_ended}
_register_handlers, _unregister_handlers = register_handlers_factory(HANDLERS)


def register() -> None:
    _register_handlers()


def unregister() -> None:
    _unregister_handlers()
    session.release()
