"""Who is next: latest wins, batch is never dropped, clients take turns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from little_head import PORTRAIT

from backend.protocol import limits
from backend.protocol.errors import TurboPortraitError
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import Register, Render, View
from backend.server.scheduler import QueuedRequest, Scheduler


def render(client, number, keys="a", priority="live"):
    views = tuple(View(key, PORTRAIT) for key in keys)
    request = Render(id=number, avatar="x", parameters=HeadParameters(), views=views, priority=priority)
    return QueuedRequest(client, request)


def taken(scheduler, count):
    jobs = []
    for _ in range(count):
        jobs.append(scheduler.take())
        scheduler.finish()
    return [(job.client, job.request.id) for job in jobs]


def test_a_newer_live_request_takes_the_place_of_older_ones_for_its_views():
    scheduler = Scheduler()
    first, second, third = render(b"A", 1, "ab"), render(b"A", 2, "a"), render(b"A", 3, "b")
    assert scheduler.submit(first) == []
    assert scheduler.submit(second) == []
    assert [view.key for view in first.wanted] == ["b"]
    assert scheduler.submit(third) == [first]
    assert taken(scheduler, 2) == [(b"A", 2), (b"A", 3)]


def test_other_clients_and_batch_requests_are_not_superseded():
    scheduler = Scheduler()
    scheduler.submit(render(b"A", 1, "a", "batch"))
    scheduler.submit(render(b"B", 1, "a"))
    assert scheduler.submit(render(b"A", 2, "a")) == []
    assert scheduler.submit(render(b"A", 3, "a", "batch")) == []
    assert scheduler.waiting == 4


def test_the_job_at_work_learns_that_it_is_stale_between_its_stages():
    scheduler = Scheduler()
    scheduler.submit(render(b"A", 1, "ab"))
    job = scheduler.take()
    scheduler.submit(render(b"A", 2, "a"))
    job.check()
    assert [view.key for view in job.wanted] == ["b"]
    assert job.unwanted == ("a",)
    scheduler.submit(render(b"A", 3, "b"))
    with pytest.raises(TurboPortraitError) as error:
        job.check()
    assert error.value.code == "superseded"


def test_clients_take_turns():
    scheduler = Scheduler()
    for number in range(3):
        scheduler.submit(render(b"A", number, priority="batch"))
    scheduler.submit(render(b"B", 0, priority="batch"))
    scheduler.submit(render(b"C", 0, priority="batch"))
    assert taken(scheduler, 5) == [(b"A", 0), (b"B", 0), (b"C", 0), (b"A", 1), (b"A", 2)]


def test_live_goes_first_but_does_not_starve_batch():
    scheduler = Scheduler()
    scheduler.submit(render(b"B", 100, priority="batch"))
    order = []
    for number in range(6):
        scheduler.submit(render(b"A", number))
        order += taken(scheduler, 1)
    assert order[0] == (b"A", 0)
    assert (b"B", 100) in order


def test_cancelling_removes_what_waits_and_flags_what_is_at_work():
    scheduler = Scheduler()
    at_work, waiting = render(b"A", 1, priority="batch"), render(b"A", 2, priority="batch")
    scheduler.submit(at_work)
    scheduler.take()
    scheduler.submit(waiting)
    assert scheduler.cancel(b"B", 2) is None
    assert scheduler.cancel(b"A", 2) is waiting
    assert scheduler.cancel(b"A", 1) is None
    with pytest.raises(TurboPortraitError) as error:
        at_work.check()
    assert error.value.code == "cancelled"


def test_a_client_that_is_gone_loses_its_queue():
    scheduler = Scheduler()
    job = render(b"A", 1, priority="batch")
    scheduler.submit(job)
    scheduler.take()
    scheduler.submit(render(b"A", 2, priority="batch"))
    scheduler.submit(render(b"B", 1, priority="batch"))
    scheduler.drop(b"A")
    assert job.cancelled
    scheduler.finish()
    assert taken(scheduler, 1) == [(b"B", 1)]
    assert scheduler.waiting == 0


def test_a_client_that_does_not_take_in_its_replies_is_passed_over():
    scheduler = Scheduler()
    scheduler.submit(render(b"A", 1, priority="batch"))
    scheduler.submit(render(b"B", 1, priority="batch"))
    scheduler.pause(b"A", True)
    assert taken(scheduler, 1) == [(b"B", 1)]
    scheduler.pause(b"A", False)
    assert taken(scheduler, 1) == [(b"A", 1)]


def test_queues_are_bounded_per_client():
    scheduler = Scheduler()
    for number in range(limits.MAX_QUEUED_REQUESTS):
        scheduler.submit(render(b"A", number, priority="batch"))
    with pytest.raises(TurboPortraitError) as error:
        scheduler.submit(render(b"A", 1000, priority="batch"))
    assert error.value.code == "too_many_requests"
    scheduler.submit(render(b"B", 1, priority="batch"))


def test_photographs_that_wait_are_bounded_in_bytes():
    scheduler = Scheduler()
    photo = np.broadcast_to(np.uint8(0), limits.MAX_QUEUED_BYTES // 2)
    for number in range(2):
        scheduler.submit(QueuedRequest(b"A", Register(id=number, photo=photo)))
    with pytest.raises(TurboPortraitError) as error:
        scheduler.submit(QueuedRequest(b"A", Register(id=2, photo=photo)))
    assert error.value.code == "too_many_requests"


def test_closed_means_no_more_jobs():
    scheduler = Scheduler()
    scheduler.submit(render(b"A", 1))
    scheduler.close()
    assert scheduler.take() is None


@given(st.lists(st.tuples(st.sampled_from([b"A", b"B"]), st.sampled_from(["live", "batch"]), st.sampled_from("abc"))))
def test_every_request_is_computed_once_or_superseded_and_the_latest_always_computed(requests):
    scheduler = Scheduler()
    superseded = []
    latest = {}
    for number, (client, priority, key) in enumerate(requests[: limits.MAX_QUEUED_REQUESTS]):
        superseded += [job.request.id for job in scheduler.submit(render(client, number, key, priority))]
        if priority == "live":
            latest[client, key] = number
    computed = [number for _, number in taken(scheduler, scheduler.waiting)]
    assert sorted(computed + superseded) == list(range(min(len(requests), limits.MAX_QUEUED_REQUESTS)))
    batch = {i for i, (_, priority, _) in enumerate(requests[: limits.MAX_QUEUED_REQUESTS]) if priority == "batch"}
    assert batch | set(latest.values()) == set(computed)


def test_refining_gives_way_to_raw_live_views_and_is_done_after_them():
    scheduler = Scheduler()
    scheduler.submit(render(b"A", 1, "a"))
    job = scheduler.take()
    assert not scheduler.give_way(job), "nothing else waits"
    scheduler.submit(render(b"A", 2, "b"))
    scheduler.submit(render(b"B", 3, "b", "batch"))
    job.shown = True
    assert scheduler.give_way(job)
    assert taken(scheduler, 2) == [(b"A", 2), (b"A", 1)]


def test_a_batch_that_has_begun_gives_way_to_live_views_and_goes_on_before_other_batches():
    scheduler = Scheduler()
    scheduler.submit(render(b"A", 1, "a", "batch"))
    scheduler.submit(render(b"B", 2, "b", "batch"))
    job = scheduler.take()
    job.work = iter(())
    assert not scheduler.give_way(job), "nothing live waits"
    scheduler.submit(render(b"C", 3, "c"))
    assert scheduler.give_way(job)
    assert taken(scheduler, 3) == [(b"C", 3), (b"A", 1), (b"B", 2)]


def test_two_clients_large_live_views_take_turns():
    scheduler = Scheduler()
    scheduler.submit(render(b"A", 1, "a"))
    first = scheduler.take()
    scheduler.submit(render(b"A", 2, "b"))
    assert not scheduler.give_way(first), "its own client's next view is no reason"
    scheduler.submit(render(b"B", 3, "a"))
    assert scheduler.give_way(first)
    assert scheduler.take().client == b"B"


def test_a_job_that_gave_way_can_become_stale_while_it_waits():
    scheduler = Scheduler()
    scheduler.submit(render(b"A", 1, "a"))
    job = scheduler.take()
    scheduler.submit(render(b"A", 2, "b"))
    job.shown = True
    assert scheduler.give_way(job)
    assert scheduler.submit(render(b"A", 3, "a")) == [job]
    assert taken(scheduler, 2) == [(b"A", 2), (b"A", 3)]
