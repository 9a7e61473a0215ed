"""A server in this process, with a pipeline whose renders wait for the test where order matters."""

import contextlib
import threading

import numpy as np
import pytest
from little_head import PORTRAIT, LittleHead, little_catalog, looking_from, make_little_head, photo

from backend.client import TurboPortraitError
from backend.pipeline import Pipeline, parts
from backend.protocol import VERSION, limits
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import (
    Accepted,
    Cancel,
    Done,
    ErrorReply,
    Progress,
    RawViews,
    RefinedViews,
    Register,
    Registered,
    Render,
    View,
)

REST = HeadParameters()
VIEWS = (View("front", PORTRAIT), View("side", looking_from((0.8, 0.1, 0.7), 200, 120)))


class Gate:
    """Makes little heads whose renders begin and wait until they are let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.rendered: list[tuple[int, float]] = []

    def make(self, data, model, progress, *, face=0):
        head = make_little_head(data, model, progress)
        gate = self

        class GatedHead(LittleHead):
            def render(self, cameras, parameters):
                gate.rendered.append((len(cameras), parameters.translation[0]))
                gate.begun.release()
                assert gate.go.acquire(timeout=30)
                return super().render(cameras, parameters)

        head.__class__ = GatedHead
        return head


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.go.release(1000)


@pytest.fixture
def server(serve):
    return serve(Pipeline(little_catalog(), device="cpu"))


@pytest.fixture
def gated_server(serve, gate):
    return serve(Pipeline(little_catalog(maker=gate.make), device="cpu"))


def moved(x):
    return HeadParameters(translation=(x, 0.0, 0.0))


def drain(client, handles):
    for handle in handles:
        with contextlib.suppress(TurboPortraitError):
            client.wait(handle, 30)
    return [handle.error.code if handle.error else "done" for handle in handles]


def test_hello_tells_version_and_capabilities(server, connect):
    hello = connect(server.endpoint).backend
    assert hello.protocol_version == VERSION
    assert hello.session == server.endpoint.session
    assert hello.capabilities.makers == ("little",)
    assert hello.capabilities.presets == ("compact",)
    assert hello.capabilities.head_models == ("open_head",)
    assert hello.capabilities.max_views == limits.MAX_VIEWS


def test_hello_is_answered_while_the_models_still_load(serve, connect):
    loaded = threading.Event()

    class Slow(Pipeline):
        def warm_up(self):
            assert loaded.wait(30)

    client = connect(serve(Slow(little_catalog(), device="cpu")).endpoint)
    assert client.status().running == "starting"
    handle = client.submit(Register, photo=np.frombuffer(photo(), np.uint8), maker="little")
    client.status()
    assert handle.accepted
    loaded.set()
    assert client.wait(handle, 30).result.avatar


def test_from_portrait_to_refined_views(server, connect):
    client = connect(server.endpoint)
    stages = []
    found = client.register(photo(), "little", on_progress=lambda fraction, stage: stages.append((fraction, stage)))
    assert stages == [(0.1, "reading"), (0.9, "modelling")]
    assert found.camera == PORTRAIT
    assert found.reference.shape == (256, 256, 4)
    assert [notice.code for notice in found.warnings] == ["several_faces"]
    result = client.render(found.avatar, found.parameters, VIEWS, depth=True)
    for view in VIEWS:
        raw, refined = result.raw[view.key], result.refined[view.key]
        size = (view.camera.height, view.camera.width)
        assert raw.rgba.shape == refined.rgba.shape == (*size, 4)
        assert raw.depth.shape == size
        seen = raw.rgba[..., 3] > 0
        assert np.array_equal(np.isfinite(raw.depth), seen)
        assert (refined.rgba[seen][:, :3].astype(int) - raw.rgba[seen][:, :3]).min() > 0
    assert set(result.timings) == {"queue", "raw", "refined", "total"}
    again = client.render(found.avatar, found.parameters, VIEWS)
    assert np.array_equal(result.refined["side"].rgba, again.refined["side"].rgba)
    assert again.raw["side"].depth is None


def test_replies_come_in_order_and_poll_never_waits(server, connect):
    client = connect(server.endpoint)
    avatar = client.register(photo(), "little").avatar
    client.poll()
    handle = client.submit(Render, avatar=avatar, parameters=REST, views=VIEWS)
    seen = []
    client.wait(handle, 30, on_reply=lambda reply: seen.append(type(reply)))
    assert seen == [Accepted, Progress, RawViews, Progress, RefinedViews, Done]
    assert client.poll() == []
    assert client.pending == 0


def test_raw_only_and_refined_only(server, connect):
    client = connect(server.endpoint)
    avatar = client.register(photo(), "little").avatar
    raw = client.render(avatar, REST, VIEWS, refined=False)
    assert set(raw.raw) == {"front", "side"}
    assert raw.refined == {}
    refined = client.render(avatar, REST, VIEWS, raw=False)
    assert refined.raw == {}
    assert set(refined.refined) == {"front", "side"}


def test_the_mesh_arrives_as_it_was_made(server, connect):
    client = connect(server.endpoint)
    mesh = client.mesh(client.register(photo(), "little").avatar)
    own = server._pipeline.find(server._pipeline.store.ids[0]).avatar.mesh()
    assert mesh.expression_names == own.expression_names
    for name in ("vertices", "faces", "skin_weights", "texture", "parents"):
        sent, made = getattr(mesh, name), getattr(own, name)
        assert sent.dtype == made.dtype
        assert np.array_equal(sent, made)


def test_status_and_forget(server, connect):
    client = connect(server.endpoint)
    avatar = client.register(photo(), "little").avatar
    status = client.status()
    assert status.avatars == (avatar,)
    assert status.avatar_bytes > 0
    assert status.device == "cpu"
    client.forget(avatar)
    assert client.status().avatars == ()
    with pytest.raises(TurboPortraitError) as error:
        client.render(avatar, REST, VIEWS)
    assert error.value.code == "unknown_avatar"


def test_live_requests_in_a_drag_are_computed_first_and_last_only(gated_server, gate, connect):
    client = connect(gated_server.endpoint)
    avatar = client.register(photo(), "little").avatar

    def drag(x):
        return client.submit(Render, avatar=avatar, parameters=moved(x), views=VIEWS[:1], refined=False)

    first = drag(0.0)
    assert gate.begun.acquire(timeout=30)
    rest = [drag(0.001 * n) for n in range(1, 20)]
    client.status()  # The router has taken in all of them.
    gate.go.release(1000)
    outcomes = drain(client, [first, *rest])
    assert outcomes == ["superseded"] * 19 + ["done"]
    assert [x for _, x in gate.rendered] == [0.0, pytest.approx(0.019)]


def test_a_stale_view_is_not_refined_and_the_others_of_its_request_are(gated_server, gate, connect):
    client = connect(gated_server.endpoint)
    avatar = client.register(photo(), "little").avatar
    both = client.submit(Render, avatar=avatar, parameters=REST, views=VIEWS)
    assert gate.begun.acquire(timeout=30)
    newer = client.submit(Render, avatar=avatar, parameters=moved(0.01), views=VIEWS[:1])
    client.status()
    gate.go.release(1000)
    assert drain(client, [both, newer]) == ["done", "done"]
    assert [view.key for view in both.raw.views] == ["front", "side"]
    assert [view.key for view in both.refined.views] == ["side"]
    assert both.done.superseded == ("front",)
    assert [count for count, _ in gate.rendered] == [2, 1, 1, 1]


def test_batch_requests_are_never_dropped(gated_server, gate, connect):
    client = connect(gated_server.endpoint)
    avatar = client.register(photo(), "little").avatar
    handles = [
        client.submit(
            Render, avatar=avatar, parameters=moved(0.001 * n), views=VIEWS[:1], refined=False, priority="batch"
        )
        for n in range(30)
    ]
    gate.go.release(1000)
    assert drain(client, handles) == ["done"] * 30
    assert len(gate.rendered) == 30


def test_a_live_view_of_another_client_is_shown_between_the_parts_of_a_large_batch(
    gated_server, gate, connect, monkeypatch
):
    monkeypatch.setattr(parts, "PART_PIXELS", 128 * 256)
    large, quick = connect(gated_server.endpoint), connect(gated_server.endpoint)
    avatar = large.register(photo(), "little").avatar
    batch = large.submit(
        Render, avatar=avatar, parameters=moved(0.1), views=(View("a", PORTRAIT),), refined=False, priority="batch"
    )
    assert gate.begun.acquire(timeout=30)
    live = quick.submit(Render, avatar=avatar, parameters=moved(0.2), views=VIEWS[1:], refined=False)
    quick.status()
    gate.go.release(1000)
    assert drain(quick, [live]) == drain(large, [batch]) == ["done"]
    assert [x for _, x in gate.rendered] == [0.1, 0.2, 0.1]


def test_what_the_free_memory_does_not_hold_is_refused(server, connect, monkeypatch):
    client = connect(server.endpoint)
    avatar = client.register(photo(), "little").avatar
    monkeypatch.setattr("backend.server.worker._PIXEL_BYTES", 1 << 40)
    with pytest.raises(TurboPortraitError) as error:
        client.render(avatar, REST, VIEWS)
    assert error.value.code == "out_of_memory"
    assert "free" in error.value.sentence


def test_cancelling_a_waiting_and_a_working_request(gated_server, gate, connect):
    client = connect(gated_server.endpoint)
    avatar = client.register(photo(), "little").avatar
    working, waiting, other = (
        client.submit(Render, avatar=avatar, parameters=REST, views=VIEWS, priority="batch") for _ in range(3)
    )
    assert gate.begun.acquire(timeout=30)
    client.cancel(waiting)
    client.cancel(working)
    client.status()
    gate.go.release(1000)
    assert drain(client, [working, waiting, other]) == ["cancelled", "cancelled", "done"]
    assert working.raw is None
    assert client.wait(client.submit(Cancel, target=12345), 30).finished


def test_an_interrupted_wait_cancels(gated_server, gate, connect):
    client = connect(gated_server.endpoint)
    avatar = client.register(photo(), "little").avatar
    asked = []

    def interrupted():
        asked.append(1)
        return gate.begun.acquire(blocking=False)

    with pytest.raises(TurboPortraitError) as error:
        client.render(avatar, REST, VIEWS, interrupted=interrupted)
    assert error.value.code == "cancelled"
    gate.go.release(1000)
    assert client.status().queued == 0


def test_a_wait_that_takes_too_long_ends(gated_server, gate, connect):
    client = connect(gated_server.endpoint)
    avatar = client.register(photo(), "little").avatar
    with pytest.raises(TurboPortraitError) as error:
        client.render(avatar, REST, VIEWS, timeout=0.1)
    assert error.value.code == "timeout"
    gate.go.release(1000)
    assert client.render(avatar, REST, VIEWS[:1], refined=False).raw


def test_a_client_that_vanishes_loses_its_queue(gated_server, gate, connect):
    leaving, staying = connect(gated_server.endpoint), connect(gated_server.endpoint)
    avatar = staying.register(photo(), "little").avatar
    for n in range(5):
        leaving.submit(Render, avatar=avatar, parameters=moved(n), views=VIEWS, priority="batch")
    leaving.status()
    assert gate.begun.acquire(timeout=30)
    leaving.close()
    while staying.status().clients == 2:  # The server's next heartbeat finds out.
        staying.poll(0.05)
    assert staying.status().queued == 0
    gate.go.release(1000)
    assert staying.render(avatar, REST, VIEWS[:1], refined=False).raw
    assert len(gate.rendered) == 2


def test_two_clients_share_one_avatar(server, connect):
    first, second = connect(server.endpoint), connect(server.endpoint)
    avatar = first.register(photo(), "little").avatar
    assert second.register(photo(), "little").avatar == avatar
    assert np.array_equal(
        first.render(avatar, REST, VIEWS).refined["side"].rgba, second.render(avatar, REST, VIEWS).refined["side"].rgba
    )


def test_an_error_in_the_work_leaves_the_backend_at_work(serve, connect, caplog):
    class Breaks(LittleHead):
        def render(self, cameras, parameters):
            raise ZeroDivisionError("a bug")

    def make(data, model, progress, *, face=0):
        head = make_little_head(data, model, progress)
        head.__class__ = Breaks
        return head

    server = serve(Pipeline(little_catalog(maker=make), device="cpu"))
    client = connect(server.endpoint)
    avatar = client.register(photo(), "little").avatar
    with pytest.raises(TurboPortraitError) as error:
        client.render(avatar, REST, VIEWS)
    assert error.value.code == "internal"
    assert "ZeroDivisionError" in error.value.sentence
    assert client.register(photo((1, 2, 3)), "little").avatar != avatar


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"avatar": "nobody"}, "unknown_avatar"),
        ({"preset": "best"}, "unknown_preset"),
        ({"parameters": HeadParameters(expression=(0.5,) * 40)}, "bad_parameters"),
    ],
)
def test_what_a_render_names_must_exist(server, connect, fields, code):
    client = connect(server.endpoint)
    avatar = client.register(photo(), "little").avatar
    with pytest.raises(TurboPortraitError) as error:
        client.wait(client.submit(Render, **{"avatar": avatar, "parameters": REST, "views": VIEWS, **fields}), 30)
    assert error.value.code == code
    assert error.value.hint


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"photo": np.frombuffer(b"not an image at all", np.uint8)}, "not_an_image"),
        ({"maker": "nobody"}, "unknown_maker"),
        ({"head_model": "nobody"}, "unknown_head_model"),
    ],
)
def test_what_a_registration_names_must_exist(server, connect, fields, code):
    client = connect(server.endpoint)
    given = {"photo": np.frombuffer(photo(), np.uint8), "maker": "little", **fields}
    with pytest.raises(TurboPortraitError) as error:
        client.wait(client.submit(Register, **given), 30)
    assert error.value.code == code


def test_a_camera_that_sees_nothing_gives_an_empty_view_not_an_error(server, connect):
    client = connect(server.endpoint)
    avatar = client.register(photo(), "little").avatar
    result = client.render(avatar, REST, [View("inside", looking_from((0, 0.01, 0.02)))])
    assert not result.raw["inside"].rgba[..., 3].any()
    assert not result.refined["inside"].rgba[..., 3].any()


def test_errors_found_before_sending_arrive_like_all_others(server, connect):
    client = connect(server.endpoint)
    client.poll()
    handle = client.submit(Register, photo=np.zeros(limits.MAX_PHOTO_BYTES + 1, np.uint8))
    [(owner, reply)] = client.poll()
    assert owner is handle
    assert isinstance(reply, ErrorReply)
    assert reply.code == "message_too_large"


def test_registered_replies_carry_read_only_arrays(server, connect):
    found = connect(server.endpoint).register(photo(), "little")
    assert isinstance(found, Registered)
    with pytest.raises(ValueError, match="read-only"):
        found.reference[0, 0] = 1
