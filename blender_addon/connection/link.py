"""The session with the backend: one client on Blender's main thread, drained by a timer, and the process if it is ours.

Nothing here waits, but for `run`, which is for Blender without a window.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import BackendProcess, Client, Handle, TurboPortraitError
from backend.protocol.messages import Capabilities, Shutdown, Status, StatusReply

from . import backend_log, bundled, preferences
from .connect import START_SECONDS, connect, end_own_process, own_process
from .error_text import message_of
from .tasks import Task, TaskProgress, complete

BUSY_SECONDS, IDLE_SECONDS = 0.05, 0.5
STOP_SECONDS = 5.0
STATUS_SECONDS = 5.0
MOST_RESTARTS, RESTARTS_WITHIN_SECONDS = 3, 120.0
"""A backend that dies more often stays ended, so that the user sees why."""


@dataclass(eq=False)
class _Running:
    """A task that the timer drives, until `deadline` (seconds of the monotonic clock)."""

    task: Task
    then: Callable[[Any], None]
    otherwise: Callable[[Exception], None]
    deadline: float
    cancellable: bool


class Link:
    """What the panel shows and the operators use; main thread only.

    Attributes:
        message: one line on the last thing that happened; `failed` says whether it is an error.
        fraction: how much of what is under way is done, in [0, 1]; None where that is unknown.
        health: the backend's latest status; None without one.
    """

    def __init__(self) -> None:
        self.message = ""
        self.failed = False
        self.fraction: float | None = None
        self.health: StatusReply | None = None
        self._status: Handle | None = None
        self._status_at = 0.0
        self._restarts: list[float] = []
        self._client: Client | None = None
        self._tasks: list[_Running] = []
        self._ending: tuple[BackendProcess, float] | None = None

    @property
    def ready(self) -> bool:
        """The backend has said hello and has not been lost since."""
        return self._client is not None and self._client.lost is None

    @property
    def current(self) -> Client | None:
        """The client while it is ready; another one after a loss."""
        return self._client if self.ready else None

    @property
    def busy(self) -> bool:
        """Something is under way."""
        return bool(self._tasks) or self._ending is not None

    @property
    def capabilities(self) -> Capabilities | None:
        """What the backend offers, None without one."""
        hello = self._client.backend if self._client is not None and self.ready else None
        return hello.capabilities if hello is not None else None

    @property
    def owns_process(self) -> bool:
        """The backend was started from here, so it may be stopped from here."""
        process = own_process()
        return process is not None and process.running

    @property
    def can_cancel(self) -> bool:
        """Something is under way that `cancel` ends."""
        return any(task.cancellable for task in self._tasks)

    def say(self, message: str, failed: bool = False, fraction: float | None = None) -> None:
        """Set the panel's line, in the user's language, and have it drawn."""
        message = rpt_(message)
        if (message, failed, fraction) == (self.message, self.failed, self.fraction):
            return
        self.message, self.failed, self.fraction = message, failed, fraction
        for window in bpy.context.window_manager.windows if bpy.context.window_manager else ():
            for area in window.screen.areas:
                if area.type in {"VIEW_3D", "IMAGE_EDITOR", "PROPERTIES", "PREFERENCES"}:
                    area.tag_redraw()

    def client(self, start: bool | None = None) -> Task:
        """A task whose result is this session's client, made anew after a loss."""
        self.poll()
        if not self.ready:
            self._client = yield from connect("Blender", preferences.connection(), start)
        return self._client

    def spawn(
        self,
        task: Task,
        then: Callable[[Any], None] = lambda result: None,
        otherwise: Callable[[Exception], None] = lambda error: None,
        timeout: float | None = None,
        cancellable: bool = False,
    ) -> None:
        """Have the timer drive a task; `then` gets its result, `otherwise` and the panel's line its error.

        Args:
            timeout: seconds, by default the preferences'.
            cancellable: the user may end it by `cancel`.
        """
        limit = preferences.connection().timeout + bundled.first_start_seconds() if timeout is None else timeout
        self._tasks.append(_Running(task, then, otherwise, time.monotonic() + limit, cancellable))
        self.wake()

    def cancel(self) -> None:
        """End what the user may end."""
        ended = [task for task in self._tasks if task.cancellable]
        for task in ended:
            self._fail(task, TurboPortraitError("cancelled"))
        if ended:
            self.say("Cancelled")

    def run(self, task: Task, timeout: float | None = None, report: Callable[[str], None] = lambda line: None) -> Any:
        """Drive a task to its end here and now; only where no window waits. Raises what it raises.

        Args:
            timeout: seconds, by default the preferences' and what a start takes.
            report: told each new line of the task.
        """
        usual = preferences.connection().timeout + START_SECONDS + bundled.first_start_seconds()
        limit = usual if timeout is None else timeout
        return complete(task, limit, poll=self.poll, report=report)

    def wake(self) -> None:
        """See to it that the timer runs."""
        if not bpy.app.timers.is_registered(_tick):
            bpy.app.timers.register(_tick, persistent=True)

    def poll(self) -> None:
        """Take in what has arrived."""
        if self._client is None:
            return
        self._client.poll()
        if self._client.lost:
            lost = self._client.lost
            self._drop_client()
            if self._ending is None:
                self.say(message_of(lost), failed=True)
                self._revive()

    def advance(self) -> float | None:
        """One turn of the timer: seconds to the next, None when there is nothing left to watch."""
        self.poll()
        for running in list(self._tasks):
            try:
                try:
                    line = next(running.task)
                    self.say(*line) if isinstance(line, TaskProgress) else self.say(line)
                    if time.monotonic() > running.deadline:
                        raise TurboPortraitError("timeout")
                except StopIteration as end:
                    self._tasks.remove(running)
                    # What it did may have changed the backend's health.
                    self._status_at = 0.0
                    running.then(end.value)
            except Exception as error:
                self._fail(running, error)
        self._watch_the_end()
        self._watch_the_health()
        backend_log.refresh()
        if self.busy:
            return BUSY_SECONDS
        return IDLE_SECONDS if self.ready else None

    def stop(self) -> None:
        """Give up what is under way and end the backend if it is ours; does not wait for its end."""
        self.disconnect()
        process = own_process()
        if process is not None and process.running:
            with contextlib.suppress(TurboPortraitError):
                if endpoint := process.endpoint:
                    self._client = Client(endpoint, "Blender")
                    self._client.submit(Shutdown)
            self._ending = (process, time.monotonic() + STOP_SECONDS)
            self.say("Stopping the backend")
            self.wake()
        else:
            self.say("Disconnected")

    def until_stopped(self) -> Task:
        """A task whose result is the end that `stop` began."""
        while self._ending is not None:
            self._watch_the_end()
            yield "Stopping the backend"

    def disconnect(self) -> None:
        """Give up what is under way and close the connection."""
        for task in list(self._tasks):
            self._fail(task, TurboPortraitError("cancelled"))
        self._drop_client()

    def _revive(self) -> None:
        """Start our own backend again that has died, unless it does so all the time."""
        if own_process() is None or self.owns_process or not preferences.connection().start_automatically:
            return
        now = time.monotonic()
        self._restarts = [at for at in self._restarts if now - at < RESTARTS_WITHIN_SECONDS]
        if len(self._restarts) < MOST_RESTARTS:
            self._restarts.append(now)
            self.spawn(self.client(start=True), lambda client: self.say("The backend stopped and was started again"))

    def _watch_the_health(self) -> None:
        if self._status is not None and self._status.finished:
            result = self._status.result
            self.health = result if isinstance(result, StatusReply) else None
            self._status = None
        if (
            self._client is not None
            and self.ready
            and self._status is None
            and time.monotonic() > self._status_at + STATUS_SECONDS
        ):
            self._status_at = time.monotonic()
            self._status = self._client.submit(Status)

    def _watch_the_end(self) -> None:
        if self._ending is None:
            return
        process, deadline = self._ending
        if process.running and time.monotonic() > deadline:
            process.process.terminate()
            if time.monotonic() > deadline + STOP_SECONDS:
                process.process.kill()
        if not process.running:
            self._ending = None
            self._drop_client()
            self.say("The backend has stopped")

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = self._status = self.health = None

    def _fail(self, running: _Running, error: Exception) -> None:
        running.task.close()
        if running in self._tasks:
            self._tasks.remove(running)
        self.say(message_of(error), failed=True)
        running.otherwise(error)


link = Link()


def _tick() -> float | None:
    return link.advance()


def register() -> None:
    pass


def unregister() -> None:
    """Let the backend go with the extension."""
    link.disconnect()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    end_own_process()
