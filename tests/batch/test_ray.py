"""Batches on Ray: workers and nodes that are killed in the middle, nodes that differ, no Ray at all."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from little_shots import gated_pipeline, little_pipeline

from backend.batch.images import read_rgba
from backend.batch.job import Job
from backend.batch.plan import BatchSettings, make_plan
from backend.batch.run import Resources, run_job
from backend.protocol.errors import TurboPortraitError
from backend.protocol.job_lock import LockWatch

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'turboportrait3d[farm]'")
HERE = Path(__file__).parent


@pytest.fixture
def workers_find_the_tests(monkeypatch, tmp_path_factory):
    """Ray's worker processes import the little pipeline by its name, and nothing from a stranger's current folder."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parent / "pipeline")]))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "backend.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    monkeypatch.chdir(folder)
    yield
    assert not (folder / "ran").exists()


def _forget_token():
    from ray._private.authentication_test_utils import reset_auth_token_state

    reset_auth_token_state()


@pytest.fixture(autouse=True)
def no_token_of_another_test():
    """Ray reads its settings once a process."""
    _forget_token()


@pytest.fixture
def cluster(workers_find_the_tests, monkeypatch):
    """A Ray cluster of two nodes with a processor each, on this machine; nothing of it is left at the end."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a token of the tests, 32 characters long")
    _forget_token()
    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.second = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    yield cluster
    with contextlib.suppress(Exception):
        ray.shutdown()
    cluster.shutdown()


def job_of(output, poses):
    job = Job(output)
    job.prepare()
    return make_plan(poses, BatchSettings(), {}, {}), job


@pytest.mark.slow
def test_a_node_that_dies_in_the_middle_costs_no_frame(tmp_path, poses, cluster):
    plan, job = job_of(tmp_path, poses)
    events = []

    def tell(event):
        events.append(event)
        if sum(event["event"] == "frame" for event in events) == 3 and cluster.second is not None:
            node, cluster.second = cluster.second, None
            cluster.remove_node(node, allow_graceful=False)

    resources = Resources(2, cluster.address, batch=1, pipeline=little_pipeline)
    summary = run_job(plan, job, resources, tell=tell)
    assert summary.done == 12
    assert summary.failures == []
    assert cluster.second is None
    assert len({event["path"] for event in events if event["event"] == "frame"}) == 12
    assert all(read_rgba(tmp_path / plan.path(number))[..., 3].any() for number in range(12))


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_repeats_only_what_it_had(tmp_path, poses, workers_find_the_tests, monkeypatch):
    gate = tmp_path / "gate"
    monkeypatch.setenv("LITTLE_GATE", str(gate))
    monkeypatch.setenv("LITTLE_GATE_FRAME", "10")
    plan, job = job_of(tmp_path / "out", poses)
    workers, retries = set(), []

    def tell(event):
        if event["event"] == "frame":
            workers.add(event["worker"])
        if event["event"] == "retry":
            retries.append(event)
            gate.touch()

    def kill():
        # Frames from 10 on wait at the gate: the worker dies with one in its hands.
        while not Path(f"{gate}.reached").exists():
            threading.Event().wait(0.02)
        (worker,) = workers
        os.kill(int(worker.split(":")[1]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    summary = run_job(plan, job, Resources(1, batch=2, pipeline=gated_pipeline), tell=tell)
    killer.join()
    assert summary.done == 12
    assert summary.failures == []
    assert len(workers) == 2
    # At most what was in flight: two batches of two.
    assert 1 <= len(retries) <= 2
    lines = [line for path in (job.folder / "records").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(lines) == 12


@pytest.mark.slow
def test_a_killed_driver_takes_its_ray_with_it(tmp_path, poses):
    environment = os.environ | {
        "LITTLE_GATE": str(tmp_path / "gate"),
        "LITTLE_GATE_FRAME": "5",
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent / "pipeline")]),
    }
    command = [sys.executable, str(HERE / "little_batch.py"), str(tmp_path / "out"), "1", "gated"]
    driver = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not Path(f"{tmp_path / 'gate'}.reached").exists():
        assert driver.poll() is None
        threading.Event().wait(0.02)
    # Ray's two light agents follow by themselves after a minute.
    children = [
        process
        for process in psutil.Process(driver.pid).children(recursive=True)
        if not any("agent" in part.lower() for part in process.cmdline()[:1] + process.cmdline()[3:4])
    ]
    assert any("RemoteWorker" in part for process in children for part in process.cmdline())
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert [process.cmdline()[:3] for process in alive] == []
    plan, job = job_of(tmp_path / "out", poses)
    summary = run_job(plan, job, Resources(0, pipeline=little_pipeline))
    assert summary.kept == 4
    assert summary.done == 8


STRANGER = """
import sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False)
except Exception as error:
    print("refused:", type(error).__name__, str(error)[:500])
else:
    print("inside", ray.cluster_resources())
"""


@pytest.mark.slow
def test_other_models_and_strangers_are_refused(tmp_path, poses, workers_find_the_tests, monkeypatch):
    """A node that differs from the driver, and whoever has no token."""
    from backend.batch.ray_pool import RayPool
    from backend.batch.work import WorkerSettings

    monkeypatch.setenv("TURBOPORTRAIT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "")
    settings = WorkerSettings(tmp_path, tmp_path / "job", {}, {}, little_pipeline)
    pool = RayPool(settings, 1, expected={"release": "0.0.0", "refiner compact": "0"})
    try:
        assert (tmp_path / "state" / "ray_token").stat().st_mode & 0o077 == 0
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        stranger = subprocess.run(
            [sys.executable, "-c", STRANGER, ray.get_runtime_context().gcs_address],
            env=environment | {"RAY_AUTH_MODE": "disabled"},
            capture_output=True,
            text=True,
            timeout=400,
        )
        with pytest.raises(TurboPortraitError) as error:
            pool.outcomes(60.0)
    finally:
        pool.close()
    assert "refused:" in stranger.stdout, stranger.stdout
    assert "InvalidAuthToken" in stranger.stderr
    assert error.value.code == "node_differs"
    assert "refiner compact" in error.value.sentence


def test_a_cluster_without_a_token_is_refused(tmp_path, poses, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    plan, job = job_of(tmp_path, poses)
    with pytest.raises(TurboPortraitError) as error:
        run_job(plan, job, Resources(1, "127.0.0.1:6379", pipeline=little_pipeline))
    assert error.value.code == "no_ray"
    assert str(tmp_path / "none") in error.value.sentence


def test_a_cluster_that_is_not_there(tmp_path, poses, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a token of the tests, 32 characters long")
    plan, job = job_of(tmp_path, poses)
    with pytest.raises(TurboPortraitError) as error:
        run_job(plan, job, Resources(1, "nowhere.invalid:1", pipeline=little_pipeline))
    assert error.value.code == "no_ray"
    assert not LockWatch(job.lock.path).running()


def test_without_ray_this_process_renders_alone(tmp_path, poses, monkeypatch):
    real = __import__("importlib").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "ray" else real(name, *rest))
    monkeypatch.setattr("backend.batch.run.FEW", 0)
    plan, job = job_of(tmp_path, poses)
    events = []
    summary = run_job(plan, job, Resources(None, pipeline=little_pipeline), tell=events.append)
    assert summary.done == 12
    assert any("Ray is not installed" in event.get("sentence", "") for event in events)
