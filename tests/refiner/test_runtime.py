"""The runner on fixed buffers gives what the function gives; the graph itself only where there is a GPU."""

import numpy as np
import pytest
import torch
from tiny_refiners import random_view, tiny_refiner

from backend.refiner.runtime import static_runner
from backend.refiner.runtime.static_runner import StaticRunner, compiled

CPU = torch.device("cpu")


def weigh(x, y=None):
    return (x * 2 if y is None else x * 2 + y, x.sum()[None])


@pytest.fixture
def calls():
    return []


@pytest.fixture
def runner(calls):
    def function(x, y=None):
        calls.append((x.data_ptr(), tuple(x.shape)))
        return weigh(x, y)

    return StaticRunner(function, CPU)


def test_every_call_gives_what_the_function_gives(runner):
    for shape in [(2, 3), (4,), (2, 3)]:
        for other in (None, torch.ones(shape)):
            x = torch.randn(shape)
            for got, expected in zip(runner(x=x, y=other), weigh(x, other), strict=True):
                torch.testing.assert_close(got, expected)


def test_equal_shapes_share_their_buffers_and_leave_the_callers_alone(runner, calls):
    mine = [torch.randn(2, 3) for _ in range(3)]
    before = [x.clone() for x in mine]
    for x in mine:
        runner(x=x)
    assert len({pointer for pointer, _ in calls}) == 1
    assert calls[0][0] not in {x.data_ptr() for x in mine}
    assert all(torch.equal(a, b) for a, b in zip(mine, before, strict=True))


def test_the_shapes_used_least_recently_are_forgotten(runner, monkeypatch):
    monkeypatch.setattr(static_runner, "MOST_SHAPES", 2)
    kept = lambda: [key[0][1][0][0] for key in runner._recorded]  # noqa: E731
    for length in (1, 2, 1, 3):
        runner(x=torch.zeros(length))
    assert kept() == [1, 3]
    runner.forget()
    assert kept() == []


def test_nothing_is_kept_of_shapes_that_fail():
    def fail(x):
        raise torch.OutOfMemoryError("no memory")

    runner = StaticRunner(fail, CPU)
    for _ in range(2):
        with pytest.raises(torch.OutOfMemoryError):
            runner(x=torch.zeros(1))


def test_results_of_one_call_survive_the_next():
    refiner = tiny_refiner()
    first = refiner.refine([random_view(0, 0.0)], None)[0]
    kept = first.copy()
    refiner.refine([random_view(1, 0.0)], None)
    assert (first == kept).all()


def test_what_cannot_be_compiled_runs_as_it_is(caplog):
    def refuse(x):
        raise RuntimeError("no compiler\nand more")

    assert compiled(refuse, {"x": torch.zeros(1)}) is None
    assert "runs without being compiled: no compiler" in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_recorded_graph_gives_what_the_cpu_gives():
    samples = [[random_view(0, 0.0), random_view(1, 0.0)]] * 2
    portrait = random_view(9).rgba
    expected = tiny_refiner()
    recorded = tiny_refiner().prepare("cuda", torch.float32)
    for count in (1, 2, 1):
        wanted = expected.refine_batch(samples[:count], expected.encode_reference(portrait))
        got = recorded.refine_batch(samples[:count], recorded.encode_reference(portrait))
        assert np.abs(np.array(wanted).astype(int) - np.array(got)).max() <= 2


def test_warming_up_is_said_and_leaves_the_result_as_it_is(caplog):
    refiner = tiny_refiner()
    before = refiner.refine([random_view(0, 0.0)], None)[0]
    with caplog.at_level("INFO"):
        assert refiner.warm_up() is refiner
    assert "warming up the refiner tiny: 2 of 2" in caplog.text
    assert (refiner.refine([random_view(0, 0.0)], None)[0] == before).all()
