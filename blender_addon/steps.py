"""Work with the backend as generators: each yields a line for the user while there is nothing to do, and never waits.

The same steps are driven by Blender's timer (interactive work), by the render thread, and to their end in one go by
`complete` where there is no window and no one to disturb.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import Client, Handle, TurboPortraitError
from backend.protocol import HeadParameters, RiggedMesh
from backend.protocol.messages import GetMesh, Register, Registered, Render, View, ViewPixels

from .camera import HeadView


class Progress(NamedTuple):
    """A line for the user with what is done, in [0, 1]."""

    line: str
    failed: bool = False
    fraction: float | None = None


Steps = Generator["str | Progress", None, Any]
POLL_SECONDS = 0.005
_current_ids: dict[tuple[str, str, str, str], str] = {}
"""(portrait hash, maker, head model, texture hash) to the id under which a backend registered it again."""


@dataclass(frozen=True)
class Settings:
    """How views are rendered (see `backend.protocol.messages.Render`)."""

    refined: bool = True
    preset: str = "compact"
    noise_level: float = 0.1
    joint: bool = True
    priority: str = "batch"


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
    def current_avatar(self) -> str:
        """The avatar's id in the backend: another than the file's where the portrait was registered again."""
        return _current_ids.get(self._identity, self.avatar)

    @property
    def _identity(self) -> tuple[str, str, str, str, int]:
        return self.portrait_sha256, self.maker, self.head_model, self.texture_sha256, self.face


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
            said = said.line if isinstance(said, Progress) else said
            if said != line:
                line = said
                report(line)
            if interrupted():
                raise TurboPortraitError("cancelled")
            if time.monotonic() > deadline:
                raise TurboPortraitError("timeout", f"{timeout:g} s; {rpt_(line or '')}")
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
            progress = handle.progress
            yield Progress(f"{rpt_(line)}: {rpt_(progress.stage)}", fraction=progress.fraction) if progress else line
    finally:
        client.cancel(handle)
    if handle.error:
        raise handle.error
    return handle


def registration(
    client: Client, photo: bytes, maker: str, head_model: str, face: int = 0
) -> Generator[str, None, tuple[Registered, RiggedMesh | None]]:
    """Register a portrait and fetch the avatar's mesh, None where the maker has none."""
    pixels = np.frombuffer(photo, np.uint8)
    request = client.submit(Register, photo=pixels, maker=maker, head_model=head_model, face=face)
    registered = (yield from finish(client, request, "Registering the portrait")).result
    try:
        mesh = yield from finish(client, client.submit(GetMesh, avatar=registered.avatar), "Fetching the mesh")
    except TurboPortraitError as error:
        if error.code != "no_mesh":
            raise
        return registered, None
    return registered, mesh.result.mesh


def rendering(
    client: Client, heads: list[HeadRequest], settings: Settings, warn: Callable[[str], None] = print
) -> Generator[str, None, list[ViewPixels]]:
    """Render each head, one view per head, with depth; an avatar that the backend has forgotten is registered again.

    `warn` is told in a sentence what is not as asked, such as a view that could not be refined; by default Blender's
    console is.
    """
    views = []
    for number, head in enumerate(heads, 1):
        template = rpt_("Rendering {head} ({number} of {count})") if len(heads) > 1 else rpt_("Rendering {head}")
        line = template.format(head=head.name, number=number, count=len(heads))
        try:
            view = yield from _view(client, head, settings, line, warn)
        except TurboPortraitError as error:
            if error.code != "unknown_avatar":
                raise
            yield from registering_again(client, head, error)
            view = yield from _view(client, head, settings, line, warn)
        views.append(view)
    return views


def registering_again(client: Client, head: HeadRequest, reason: TurboPortraitError) -> Steps:
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
    _current_ids[head._identity] = again.result.avatar


def submit_render(
    client: Client, head: HeadRequest, settings: Settings, keys: Sequence[str], raw: bool, refined: bool, depth: bool
) -> Handle:
    """Ask for a head's views, called by `keys`; see `backend.protocol.messages.Render`."""
    return client.submit(
        Render,
        avatar=head.current_avatar,
        parameters=head.parameters,
        views=tuple(View(key, view.camera) for key, view in zip(keys, head.views, strict=True)),
        raw=raw,
        refined=refined,
        depth=depth,
        preset=settings.preset,
        noise_level=settings.noise_level,
        joint=settings.joint,
        priority=settings.priority,
    )


def _view(
    client: Client, head: HeadRequest, settings: Settings, line: str, warn: Callable[[str], None]
) -> Generator[str, None, ViewPixels]:
    refined = settings.refined
    keys = [f"{head.name}/{number}" for number in range(len(head.views))]
    request = submit_render(client, head, settings, keys, raw=not refined, refined=refined, depth=True)
    done = yield from finish(client, request, line)
    for sentence in done.done.warnings:
        warn(f"{head.name}: {rpt_(sentence)}")
    return (done.refined if refined else done.raw).views[0]
