"""`turboportrait bench batch`: what a batch's machinery costs and gains on this machine, with the real avatar."""

from __future__ import annotations

import gc
import hashlib
import json
import subprocess
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from backend.client.isolation import isolated, python_module
from backend.evaluation.portraits import real_portraits
from backend.protocol.pose_file import Head, PoseFile, PoseHeader, empty_columns
from backend.protocol.shots import RAW, Shot

PARTS = ("workers", "batching", "planning", "memory")
PLANNED_FRAMES = 1000
MIB = 1 << 20


def astronaut_poses(frames: int, size: int) -> PoseFile:
    """The astronaut turning its head from side to side before its portrait's camera, as a .blend would give it."""
    from backend.pipeline import Pipeline

    photo = real_portraits()["astronaut"]
    tracked = Pipeline(device="cpu").register(photo, "bust", "open_head", lambda *_: None).avatar.tracked
    camera = tracked.camera.crop(0, 0, tracked.camera.width, size)
    expression = np.array(tracked.parameters.expression, np.float32)
    digest = hashlib.sha256(photo).hexdigest()
    columns = empty_columns(frames, 1, len(expression))
    columns["frame"] = np.arange(1, frames + 1, dtype=np.int32)
    columns["K"][:], columns["world_to_camera"][:], columns["scale"][:] = camera.K, camera.world_to_camera, 1
    columns["exposure"][:] = 1
    columns["pose"][:, 4] = 0.4 * np.sin(np.linspace(0, 40, frames))
    columns["expression"][:] = expression
    head = Head("astronaut", "bust", "open_head", digest, "astronaut.png", len(expression))
    shot = Shot("turn", 1, frames, "portrait", width=size, height=size)
    return PoseFile(PoseHeader("0" * 64, (24, 1), ("portrait",), (head,), (shot,)), columns, {digest: photo})


def _run(output: Path, poses: PoseFile, quality: str, tell=lambda event: None, **resources: Any) -> Any:
    from backend.batch.job import Job
    from backend.batch.plan import BatchSettings, make_plan
    from backend.batch.run import Resources, run_job

    plan = make_plan(poses, BatchSettings(quality), {}, {})
    job = Job(output)
    job.prepare()
    return run_job(plan, job, Resources(**resources), tell=tell)


def measure_workers(frames: int) -> dict[str, Any]:
    """Frames a second of two workers and of one, a thread each, from when all have finished their first batch."""
    poses = astronaut_poses(frames, 256)
    rates, shares = {}, {}
    for workers in (1, 2):
        finished: list[tuple[float, str]] = []

        def tell(event: dict[str, Any], finished: list = finished) -> None:
            if event["event"] == "frame":
                finished.append((time.perf_counter(), event["worker"]))

        with tempfile.TemporaryDirectory() as folder:
            summary = _run(Path(folder), poses, "compact", tell, workers=workers, threads=1, batch=2)
        names = {worker for _, worker in finished}
        warm = max(min(at for at, worker in finished if worker == name) for name in names)
        later = [at for at, _ in finished if at > warm]
        rates[workers] = len(later) / (max(later) - warm)
        shares[workers] = summary.driver_seconds / summary.wall_seconds
    return {
        "one_worker_frames_per_second": round(rates[1], 2),
        "two_workers_frames_per_second": round(rates[2], 2),
        "ratio": round(rates[2] / rates[1], 2),
        "driver_share_of_wall_time": f"{100 * shares[2]:.1f} %",
    }


def measure_batching(frames: int) -> dict[str, Any]:
    """Milliseconds a frame in one process with all its threads, by how many frames are refined together."""
    from backend.batch.plan import BatchSettings, make_plan
    from backend.batch.rendering import FrameRenderer
    from backend.pipeline import Pipeline

    poses = astronaut_poses(frames, 256)
    plan = make_plan(poses, BatchSettings(), {}, {})
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        renderer = FrameRenderer(Pipeline(), Path(folder), Path(folder) / "job", plan.photos, {})
        seconds: dict[int, list[float]] = {}
        for size in (1, 2, 4, 8):
            renderer.render([plan.task(number) for number in range(size)])
        # In turns, so that what else the machine does meets all of them.
        for start in range(0, frames - frames % 8, 8):
            for size in (1, 2, 4, 8):
                started = time.perf_counter()
                for first in range(start, start + 8, size):
                    renderer.render([plan.task(number) for number in range(first, first + size)])
                seconds.setdefault(size, []).append((time.perf_counter() - started) / 8)
    medians = {size: float(np.median(values)) for size, values in seconds.items()}
    for size, value in medians.items():
        result[f"{size}_together_ms_a_frame"] = round(1000 * value, 1)
    best = min(medians, key=medians.__getitem__)
    result["best_against_one_by_one"] = f"{medians[1] / medians[best]:.2f} ({best} together)"
    result["device"] = renderer.pipeline.device
    return result


def measure_planning() -> dict[str, Any]:
    """Seconds of the command `turboportrait batch`, from its start to its end, where a thousand frames are done."""
    poses = astronaut_poses(PLANNED_FRAMES, 16)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        poses.save(folder / "poses.npz")
        from backend.batch.shot_timelines import write_otio

        write_otio(poses.header.shots, Fraction(24), folder / "list.otio", "list")
        command = [*python_module("backend.commands"), "batch", str(folder / "list.otio")]
        command += ["--poses", str(folder / "poses.npz"), "--output", str(folder / "out"), "--quality", RAW]
        command += ["--movies", "none", "--json", "--workers", "0"]
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            run = subprocess.run(**isolated(command), capture_output=True, text=True, check=True)
            seconds.append(time.perf_counter() - started)
        done = json.loads(run.stdout.splitlines()[-1])
    if done["rendered"] or done["kept"] != PLANNED_FRAMES:
        raise RuntimeError(f"the second run was to render nothing: {done}")
    return {"frames": PLANNED_FRAMES, "nothing_to_render_seconds": round(seconds[1], 2)}


def measure_memory(frames: int) -> dict[str, Any]:
    """What the process holds after a tenth of a long run of the smallest pictures, and at its end."""
    import psutil

    poses = astronaut_poses(frames, 16)
    process, counted, resident = psutil.Process(), [0], []

    def tell(event: dict[str, Any]) -> None:
        if event["event"] == "frame":
            counted[0] += 1
            if counted[0] % (frames // 10) == 0:
                gc.collect()
                resident.append(process.memory_info().rss)

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        _run(Path(folder), poses, RAW, tell, workers=0, batch=8)
    return {
        "frames": frames,
        "resident_after_a_tenth_MiB": round(resident[0] / MIB, 1),
        "resident_at_the_end_MiB": round(resident[-1] / MIB, 1),
        "growth_MiB": round((resident[-1] - resident[0]) / MIB, 1),
        "seconds": round(time.perf_counter() - started, 1),
    }
