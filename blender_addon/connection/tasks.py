"""Work with the backend as generators: each yields a line for the user while there is nothing to do, and never waits.

The same task is driven by Blender's timer (interactive work), by the render thread, and to its end in one go by
`complete` where there is no window and no one to disturb.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import Client, Handle, TurboPortraitError


class TaskProgress(NamedTuple):
    """A line for the user with what is done, in [0, 1]."""

    line: str
    failed: bool = False
    fraction: float | None = None


Said = str | TaskProgress
Task = Generator[Said, None, Any]
POLL_SECONDS = 0.005


def complete(
    task: Task,
    timeout: float,
    poll: Callable[[], object] = lambda: None,
    interrupted: Callable[[], bool] = lambda: False,
    report: Callable[[str], None] = lambda line: None,
) -> Any:
    """Drive a task to its end.

    Args:
        timeout: seconds.
        poll: lets a client that the task don't poll themselves take in what has arrived.
        interrupted: asked all the time; True gives up.

    Raises:
        TurboPortraitError: timeout, cancelled, or whatever the task raise.
    """
    deadline = time.monotonic() + timeout
    line = None
    try:
        while True:
            said = next(task)
            said = said.line if isinstance(said, TaskProgress) else said
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
        # What the task have under way is cancelled in the backend.
        task.close()


def finish(client: Client, handle: Handle, line: str) -> Generator[Said, None, Handle]:
    """Until a request is done; raises its error; cancels it if the task are given up."""
    try:
        while not handle.finished:
            progress = handle.progress
            yield (
                TaskProgress(f"{rpt_(line)}: {rpt_(progress.stage)}", fraction=progress.fraction) if progress else line
            )
    finally:
        client.cancel(handle)
    if handle.error:
        raise handle.error
    return handle
