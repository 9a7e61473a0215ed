"""What a host holds of a request under way: filled in as replies arrive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from backend.protocol.errors import BackendLost, BackendUnreachable, TurboPortraitError
from backend.protocol.messages import (
    Accepted,
    Done,
    ErrorReply,
    HelloReply,
    MeshReply,
    Progress,
    RawViews,
    RefinedViews,
    Registered,
    Reply,
    Request,
    StatusReply,
)

Result = Registered | MeshReply | StatusReply | HelloReply
ResultT = TypeVar("ResultT", bound=Result)

_SPECIAL = {"backend_lost": BackendLost, "backend_unreachable": BackendUnreachable}


@dataclass(eq=False)
class Handle:
    """A request under way.

    Attributes:
        request: what was sent.
        accepted: the backend has queued it.
        progress: the latest report.
        raw, refined: the views, as soon as they are there.
        result: the reply that is no view: Registered, MeshReply, StatusReply or HelloReply.
        done: the last reply of a request that succeeded.
        error: why it failed.
    """

    request: Request
    accepted: bool = False
    progress: Progress | None = None
    raw: RawViews | None = None
    refined: RefinedViews | None = None
    result: Result | None = None
    done: Done | None = None
    error: TurboPortraitError | None = None

    @property
    def id(self) -> int:
        """The request's id."""
        return self.request.id

    @property
    def timings(self) -> dict[str, float]:
        """Seconds, by stage, of a request that succeeded."""
        return {} if self.done is None else self.done.timings

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of a request that succeeded is not as asked, in sentences."""
        return () if self.done is None else self.done.warnings

    def result_of(self, kind: type[ResultT]) -> ResultT:
        """The result of a request that succeeded.

        Raises:
            TurboPortraitError: malformed_message: the backend gave another.
        """
        if not isinstance(self.result, kind):
            raise TurboPortraitError(
                "malformed_message", f"{kind.__name__} was to come, {type(self.result).__name__} came"
            )
        return self.result

    @property
    def finished(self) -> bool:
        """Nothing more will arrive."""
        return self.done is not None or self.error is not None

    @property
    def superseded(self) -> bool:
        """A newer request took its place: an error in form, but nothing to tell the user."""
        return self.error is not None and self.error.code == "superseded"

    def take(self, reply: Reply) -> None:
        """Fill in one reply."""
        match reply:
            case Accepted():
                self.accepted = True
            case Progress():
                self.progress = reply
            case RawViews():
                self.raw = reply
            case RefinedViews():
                self.refined = reply
            case Done():
                self.done = reply
            case ErrorReply():
                self.error = error_of(reply)
            case _:
                self.result = reply


def error_of(reply: ErrorReply) -> TurboPortraitError:
    """The exception that an error reply stands for, with the backend's own words."""
    error = _SPECIAL[reply.code]() if reply.code in _SPECIAL else TurboPortraitError(reply.code)
    error.sentence, error.hint = reply.sentence, reply.hint
    error.args = (f"{reply.sentence} {reply.hint} [{reply.code}]",)
    return error
