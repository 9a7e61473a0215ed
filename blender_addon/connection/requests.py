"""What the add-on asks of the backend: portraits to be registered, heads to be rendered."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import Client, Handle, TurboPortraitError
from backend.protocol import RiggedMesh
from backend.protocol.messages import GetMesh, MeshReply, Register, Registered, Render, View, ViewPixels

from ..scene.camera import HeadView
from ..scene.head_requests import HeadRequest
from ..scene.render_options import RenderOptions
from .tasks import Said, Task, finish

_current_ids: dict[tuple[str, str, str, str, int], str] = {}
"""A head's identity to the id under which a backend registered it again."""


def current_avatar(head: HeadRequest) -> str:
    """The avatar's id in the backend: another than the file's where the portrait was registered again."""
    return _current_ids.get(head.identity, head.avatar)


def register_portrait(
    client: Client, photo: bytes, maker: str, head_model: str, face: int = 0
) -> Generator[Said, None, tuple[Registered, RiggedMesh | None]]:
    """Register a portrait and fetch the avatar's mesh, None where the maker has none."""
    pixels = np.frombuffer(photo, np.uint8)
    request = client.submit(Register, photo=pixels, maker=maker, head_model=head_model, face=face)
    registered = (yield from finish(client, request, "Registering the portrait")).result_of(Registered)
    try:
        mesh = yield from finish(client, client.submit(GetMesh, avatar=registered.avatar), "Fetching the mesh")
    except TurboPortraitError as error:
        if error.code != "no_mesh":
            raise
        return registered, None
    return registered, mesh.result_of(MeshReply).mesh


def render_heads(
    client: Client, heads: list[HeadRequest], options: RenderOptions, warn: Callable[[str], None] = print
) -> Generator[Said, None, list[list[ViewPixels]]]:
    """Render each head's views, with depth; an avatar that the backend has forgotten is registered again.

    `warn` is told in a sentence what is not as asked, such as a view that could not be refined; by default Blender's
    console is.
    """
    views = []
    for number, head in enumerate(heads, 1):
        template = rpt_("Rendering {head} ({number} of {count})") if len(heads) > 1 else rpt_("Rendering {head}")
        line = template.format(head=head.name, number=number, count=len(heads))
        try:
            seen = yield from _views(client, head, options, line, warn)
        except TurboPortraitError as error:
            if error.code != "unknown_avatar":
                raise
            yield from register_again(client, head, error)
            seen = yield from _views(client, head, options, line, warn)
        views.append(seen)
    return views


def register_again(client: Client, head: HeadRequest, reason: TurboPortraitError) -> Task:
    """Have the backend make an avatar again that it does not know, with the file's texture; raises `reason` where the
    photo is lost."""
    portrait = head.portrait()
    if not portrait:
        raise reason
    request = client.submit(
        Register,
        photo=np.frombuffer(portrait, np.uint8),
        maker=head.maker,
        head_model=head.head_model,
        texture=head.texture(),
        face=head.face,
    )
    again = yield from finish(client, request, rpt_("Registering {head} again").format(head=head.name))
    _current_ids[head.identity] = again.result_of(Registered).avatar


def submit_render(
    client: Client,
    head: HeadRequest,
    options: RenderOptions,
    keys: Sequence[str],
    raw: bool,
    refined: bool,
    depth: bool,
) -> Handle:
    """Ask for a head's views, called by `keys`; see `backend.protocol.messages.Render`."""
    return client.submit(
        Render,
        avatar=current_avatar(head),
        parameters=head.parameters,
        views=tuple(View(key, view.camera) for key, view in zip(keys, head.views, strict=True)),
        raw=raw,
        refined=refined,
        depth=depth,
        preset=options.preset,
        noise_level=options.noise_level,
        joint=options.joint,
        priority=options.priority,
    )


def as_blender_sees(pixels: ViewPixels, view: HeadView) -> ViewPixels:
    """What has come for a view as its camera in Blender has it, which may mirror."""
    if not view.mirrored:
        return pixels
    depth = None if pixels.depth is None else np.ascontiguousarray(pixels.depth[:, ::-1])
    return ViewPixels(pixels.key, np.ascontiguousarray(pixels.rgba[:, ::-1]), depth)


def _views(
    client: Client, head: HeadRequest, options: RenderOptions, line: str, warn: Callable[[str], None]
) -> Generator[Said, None, list[ViewPixels]]:
    refined = options.refined
    keys = [f"{head.name}/{number}" for number in range(len(head.views))]
    request = submit_render(client, head, options, keys, raw=not refined, refined=refined, depth=True)
    done = yield from finish(client, request, line)
    for sentence in done.warnings:
        warn(f"{head.name}: {rpt_(sentence)}")
    come = done.refined if refined else done.raw
    seen = () if come is None else come.views
    return [as_blender_sees(pixels, view) for pixels, view in zip(seen, head.views, strict=True)]
