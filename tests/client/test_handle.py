"""A handle fills in as replies arrive."""

import numpy as np
import pytest

from backend.client import BackendLost, Handle
from backend.client.handle import error_of
from backend.protocol.errors import TurboPortraitError
from backend.protocol.messages import (
    Accepted,
    Capabilities,
    Done,
    ErrorReply,
    GetMesh,
    HelloReply,
    MeshReply,
    Progress,
    RawViews,
    Status,
    ViewPixels,
    error_reply,
)


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


def test_a_result_comes_by_its_kind_and_another_is_said():
    handle = Handle(GetMesh(id=3, avatar="a"))
    offers = Capabilities(presets=(), makers=(), head_models=(), device="cpu")
    handle.take(HelloReply(id=3, protocol_version=1, software_version="1", session="s", pid=1, capabilities=offers))
    handle.take(Done(id=3, timings={"total": 2.0}, warnings=("It rains.",)))
    assert handle.result_of(HelloReply).session == "s"
    assert (handle.timings, handle.warnings) == ({"total": 2.0}, ("It rains.",))
    with pytest.raises(TurboPortraitError, match="MeshReply was to come, HelloReply came") as caught:
        handle.result_of(MeshReply)
    assert caught.value.code == "malformed_message"
