"""Latest wins, without a window: what a stream asks for, against a real server with little heads."""

from dataclasses import replace

import numpy as np
import pytest

from backend.client import Client
from backend.protocol import Camera, HeadParameters
from blender_addon.live import stream as stream_module
from blender_addon.live.motion import LONGEST_REST, Motion, SharedMotion
from blender_addon.live.profiler import Profiler
from blender_addon.live.stream import Snapshot, Stream
from blender_addon.scene.camera import HeadView
from blender_addon.scene.head_requests import HeadRequest
from blender_addon.scene.render_options import RenderOptions

CAMERA = Camera.from_arrays(
    [[250, 0, 64], [0, 250, 64], [0, 0, 1]], [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1], [0, 0, 0, 1]], 128, 128
)


@pytest.fixture
def client(little_backend):
    with Client(little_backend) as client:
        client.connect()
        yield client


@pytest.fixture
def snapshot(client, little_photo):
    """snapshot(x) -> the little head moved x metres to the side."""
    avatar = client.register(little_photo, maker="little").avatar

    def make(x: float, size: int = 128, cameras: int = 1) -> Snapshot:
        scale = size / 128
        K = CAMERA.intrinsics * np.array([[scale], [scale], [1]])
        view = HeadView(Camera.from_arrays(K, CAMERA.extrinsics, size, size), 1.0)
        parameters = HeadParameters(translation=(x, 0.0, 0.0))
        head = HeadRequest(
            "Head", avatar, "little", "open_head", "sha", lambda: little_photo, parameters, (view,) * cameras
        )
        return Snapshot((head,), RenderOptions(priority="live"))

    return make


class Clock:
    """Time that passes only when told to."""

    now = 100.0


def settle(stream, client, clock, seconds=1.0, step=0.05):
    """Let time pass while the stream works; what arrived, until all is answered."""
    pictures = []
    end = clock.now + seconds
    while clock.now < end or client.pending:
        client.poll(0.01)
        # However slow this machine, the backend takes no time on this clock.
        clock.now += 0 if client.pending else step
        pictures += stream.advance(client, clock.now)
    return pictures


def middle(picture) -> float:
    """Where the head is, in pixels from the left."""
    return float(np.nonzero(picture.views[0][0].rgba[..., 3])[1].mean())


def stream_of(recover=None, **options) -> Stream:
    return Stream(
        Profiler(), recover or (lambda *arguments: pytest.fail("nothing to recover")), SharedMotion(), **options
    )


def test_a_change_gives_the_raw_view_and_then_the_refined_one(client, snapshot):
    stream, clock = stream_of(), Clock()
    assert stream.offer(snapshot(0), clock.now)
    assert not stream.offer(snapshot(0), clock.now)
    pictures = settle(stream, client, clock)
    assert [picture.stage for picture in pictures] == ["raw", "refined"]
    assert {picture.changed_at for picture in pictures} == {100.0}
    assert stream.idle


def drag(stream, client, clock, snapshot) -> list:
    """Twenty steps to the side, faster than a hand rests."""
    pictures = []
    for step in range(20):
        stream.offer(snapshot(step / 400), clock.now)
        pictures += settle(stream, client, clock, seconds=0.04)
    return pictures


def test_a_quick_refiner_refines_movements_too(client, snapshot, monkeypatch):
    monkeypatch.setattr(stream_module, "QUICK_REFINER_SECONDS", 1e6)
    stages = [picture.stage for picture in drag(stream_of(), client, Clock(), snapshot)]
    assert stages.count("refined") > 15


def test_a_movement_asks_for_raw_views_and_ends_with_the_refined_view_of_where_it_rests(client, snapshot, monkeypatch):
    monkeypatch.setattr(stream_module, "QUICK_REFINER_SECONDS", 0.0)
    stream, clock = stream_of(), Clock()
    pictures = drag(stream, client, clock, snapshot)
    moving = [picture.stage for picture in pictures]
    pictures += settle(stream, client, clock)
    assert moving.count("refined") <= 1
    assert len(moving) > 5
    assert pictures[-1].stage == "refined"
    # Never back to an older pose.
    places = [middle(picture) for picture in pictures]
    assert places == sorted(places)
    assert places[-1] - places[0] == pytest.approx(250 * 19 / 400, abs=4)
    assert client.pending == 0


def test_only_one_raw_request_is_under_way_however_fast_the_hand(client, snapshot):
    stream, clock = stream_of(), Clock()
    for step in range(50):
        stream.offer(snapshot(step / 1000), clock.now)
        stream.ask(client, clock.now)
        clock.now += 0.001
    assert client.pending == 1
    assert settle(stream, client, clock)[-1].stage == "refined"


def test_nothing_is_refined_while_another_picture_moves(client, snapshot):
    shared, clock = SharedMotion(), Clock()
    other = shared.motion()
    stream = Stream(Profiler(), lambda *_: None, shared)
    for _ in range(3):
        clock.now += 0.1
        other.change(clock.now)
    stream.offer(snapshot(0), clock.now)
    stages = []
    for _ in range(5):
        stages += [picture.stage for picture in settle(stream, client, clock, seconds=0.1)]
        other.change(clock.now)
    assert stages == ["raw"]
    assert [picture.stage for picture in settle(stream, client, clock, seconds=2)] == ["refined"]


def test_views_of_several_cameras_come_together(client, snapshot):
    stream, clock = stream_of(), Clock()
    stream.offer(snapshot(0, cameras=3), clock.now)
    assert [len(picture.views) for picture in settle(stream, client, clock)] == [3, 3]


def test_a_large_picture_is_smaller_while_the_hand_moves_and_whole_when_it_rests(client, snapshot):
    stream, clock = stream_of(adaptive=True), Clock()
    stream._raw_seconds_per_megapixel = 1.0
    sizes = []
    for step in range(4):
        stream.offer(snapshot(step / 400, size=512), clock.now)
        stream.ask(client, clock.now)
        sizes += [picture.views[0][0].rgba.shape[0] for picture in settle(stream, client, clock, seconds=0.05)]
        clock.now += 0.05
    final = settle(stream, client, clock, seconds=3)[-1]
    assert min(sizes) < 256
    assert final.stage == "refined"
    assert final.views[0][0].rgba.shape == (512, 512, 4)


def test_an_avatar_that_is_unknown_is_recovered_and_then_shown(client, snapshot):
    asked = []
    stream, clock = stream_of(lambda stream, head, reason: asked.append(reason.code)), Clock()
    known = snapshot(0)
    unknown = replace(known, heads=(replace(known.heads[0], avatar="nobody", portrait_sha256="other"),))
    stream.offer(unknown, clock.now)
    assert settle(stream, client, clock) == []
    assert asked == ["unknown_avatar"]
    assert not stream.idle
    stream.offer(known, clock.now)
    stream.recovered()
    assert [picture.stage for picture in settle(stream, client, clock)] == ["raw", "refined"]


def test_what_the_backend_refuses_is_said_once_and_asked_again_only_after_a_change(client, snapshot):
    stream, clock = stream_of(), Clock()
    wrong = replace(snapshot(0), options=RenderOptions(preset="nonsense", priority="live"))
    stream.offer(wrong, clock.now)
    assert settle(stream, client, clock) == []
    assert stream.problem.code == "unknown_preset"
    assert stream.idle
    assert settle(stream, client, clock) == []
    stream.offer(snapshot(0), clock.now)
    settle(stream, client, clock)
    assert stream.problem is None


def test_after_a_loss_everything_is_asked_again(client, snapshot, little_backend):
    stream, clock = stream_of(), Clock()
    stream.offer(snapshot(0), clock.now)
    settle(stream, client, clock)
    stream.forget()
    with Client(little_backend) as other:
        other.connect()
        assert [picture.stage for picture in settle(stream, other, clock)] == ["raw", "refined"]


def test_a_movement_is_a_rhythm_and_a_single_change_is_none():
    motion = Motion()
    motion.change(0.0)
    assert not motion.moving(0.001)
    for now in (0.3, 0.6):
        motion.change(now)
    assert motion.moving(0.9)
    assert not motion.moving(0.6 + LONGEST_REST)
    motion.change(10.0)
    assert not motion.moving(10.001)


def test_the_meter_keeps_uploads_apart_and_writes_what_it_takes(tmp_path):
    profiler = Profiler()
    profiler.log_to(tmp_path / "log" / "live.jsonl")
    with profiler.call("timer"), profiler.upload():
        sum(range(2_000_000))
    profiler.shown("raw", 0.0)
    profiler.drawn()
    profiler.log_to(None)
    assert profiler.milliseconds("upload")[0] > profiler.milliseconds("timer")[0]
    assert profiler.milliseconds("draw") is None
    events = [line.split('"event": "')[1].split('"')[0] for line in (tmp_path / "log" / "live.jsonl").open()]
    assert events == ["upload", "timer", "raw", "raw_drawn"]
