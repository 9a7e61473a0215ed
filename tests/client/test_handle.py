"""A handle fills in as replies arrive."""

import numpy as np

from backend.client import BackendLost, Handle
from backend.client.handle import error_of
from backend.protocol.errors import TurboPortraitError
from backend.protocol.messages import Accepted, Done, ErrorReply, Progress, RawViews, Status, ViewPixels, error_reply


def test_replies_fill_in_a_handle():
    handle = Handle(Status(id=3))
    assert not handle.finished
    handle.take(Accepted(id=3))
    handle.take(Progress(id=3, fraction=0.5, stage="rendering"))
    handle.take(RawViews(id=3, views=(ViewPixels("a", np.zeros((1, 1, 4), np.uint8)),)))
    assert (handle.id, handle.accepted, handle.progress.fraction, len(handle.raw.views)) == (3, True, 0.5, 1)
    assert not handle.finished
    handle.take(Done(id=3))
    assert handle.finished
    assert handle.error is None


def test_errors_keep_the_backends_own_words():
    error = error_of(ErrorReply(id=1, code="from_the_future", sentence="It rains.", hint="Take an umbrella."))
    assert (error.code, error.sentence, error.hint) == ("from_the_future", "It rains.", "Take an umbrella.")
    assert "It rains." in str(error)
    assert isinstance(error_of(error_reply(1, BackendLost())), BackendLost)


def test_superseded_is_told_apart():
    handle = Handle(Status(id=3))
    handle.take(error_reply(3, TurboPortraitError("superseded")))
    assert handle.superseded
    assert handle.finished
