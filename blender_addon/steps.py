"""Work with the backend as generators: each yields a line for the user while there is nothing to do, and never waits.

The same steps are driven by Blender's timer (interactive work), by the render thread, and to their end in one go by
`complete` where there is no window and no one to disturb.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.client import Client, Handle, TurboPortraitError
from backend.protocol import HeadParameters, RiggedMesh
from backend.protocol.messages import GetMesh, Register, Registered, Render, View, ViewPixels

from .camera import HeadView

Steps = Generator[str, None, Any]
POLL_SECONDS = 0.005
_current_ids: dict[tuple[str, str, str], str] = {}
"""(portrait hash, maker, head model) to the id under which a backend registered it again."""


@dataclass(frozen=True)
class Settings:
    """How views are rendered (see `backend.protocol.messages.Render`)."""

    refined: bool = True
    preset: str = "compact"
    noise_level: float = 0.1
    priority: str = "batch"


@dataclass(frozen=True)
class HeadRequest:
    """One head to be rendered, read from the scene, so that no step needs Blender's data.

    Attributes:
        portrait: the photo's bytes, for a backend that does not know the avatar.
    """

    name: str
    avatar: str
    maker: str
    head_model: str
    portrait: bytes
    parameters: HeadParameters
    view: HeadView


def complete(
    steps: Steps,
    timeout: float,
    poll: Callable[[], object] = lambda: None,
    interrupted: Callable[[], bool] = lambda: False,
    report: Callable[[str], None] = lambda line: None,
) -> Any:
    """Drive steps to their end.

    Args:
        timeout: seconds.
        poll: lets a client that the steps don't poll themselves take in what has arrived.
        interrupted: asked all the time; True gives up.

    Raises:
        TurboPortraitError: timeout, cancelled, or whatever the steps raise.
    """
    deadline = time.monotonic() + timeout
    line = None
    try:
        while True:
            said = next(steps)
            if said != line:
                line = said
                report(line)
            if interrupted():
                raise TurboPortraitError("cancelled")
            if time.monotonic() > deadline:
                raise TurboPortraitError("timeout", f"{timeout:g} seconds; {line}")
            time.sleep(POLL_SECONDS)
            poll()
    except StopIteration as end:
        return end.value
    finally:
        # What the steps have under way is cancelled in the backend.
        steps.close()


def finish(client: Client, handle: Handle, line: str) -> Generator[str, None, Handle]:
    """Until a request is done; raises its error; cancels it if the steps are given up."""
    try:
        while not handle.finished:
            stage = handle.progress.stage if handle.progress else ""
            yield f"{line}: {stage}" if stage else line
    finally:
        client.cancel(handle)
    if handle.error:
        raise handle.error
    return handle


def registration(
    client: Client, photo: bytes, maker: str, head_model: str
) -> Generator[str, None, tuple[Registered, RiggedMesh | None]]:
    """Register a portrait and fetch the avatar's mesh, None where the maker has none."""
    request = client.submit(Register, photo=np.frombuffer(photo, np.uint8), maker=maker, head_model=head_model)
    registered = (yield from finish(client, request, "Registering the portrait")).result
    try:
        mesh = yield from finish(client, client.submit(GetMesh, avatar=registered.avatar), "Fetching the mesh")
    except TurboPortraitError as error:
        if error.code != "no_mesh":
            raise
        return registered, None
    return registered, mesh.result.mesh


def rendering(client: Client, heads: list[HeadRequest], settings: Settings) -> Generator[str, None, list[ViewPixels]]:
    """Render each head, one view per head, with depth; an avatar that the backend has forgotten is registered again."""
    views = []
    for number, head in enumerate(heads, 1):
        line = f"Rendering {head.name}" + (f" ({number} of {len(heads)})" if len(heads) > 1 else "")
        identity = (hashlib.sha256(head.portrait).hexdigest(), head.maker, head.head_model)
        avatar = _current_ids.get(identity, head.avatar)
        try:
            view = yield from _view(client, head, avatar, settings, line)
        except TurboPortraitError as error:
            if error.code != "unknown_avatar" or not head.portrait:
                raise
            request = client.submit(
                Register, photo=np.frombuffer(head.portrait, np.uint8), maker=head.maker, head_model=head.head_model
            )
            again = yield from finish(client, request, f"Registering {head.name} again")
            avatar = _current_ids[identity] = again.result.avatar
            view = yield from _view(client, head, avatar, settings, line)
        views.append(view)
    return views


def _view(
    client: Client, head: HeadRequest, avatar: str, settings: Settings, line: str
) -> Generator[str, None, ViewPixels]:
    request = client.submit(
        Render,
        avatar=avatar,
        parameters=head.parameters,
        views=(View(head.name, head.view.camera),),
        raw=not settings.refined,
        refined=settings.refined,
        depth=True,
        preset=settings.preset,
        noise_level=settings.noise_level,
        priority=settings.priority,
    )
    done = yield from finish(client, request, line)
    return (done.refined if settings.refined else done.raw).views[0]
