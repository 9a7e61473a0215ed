"""Each frame with the one before: the warp follows the surface, and chains give the same pictures however they run."""

import numpy as np
import pytest
from little_head import Brighten, LittleHead, little_catalog, looking_from, photo
from little_shots import little_pipeline, little_poses

from backend.batch.images import read_rgba
from backend.batch.job import Job
from backend.batch.plan import CHAIN, BatchSettings, make_plan, split_done
from backend.batch.run import Resources, run_job
from backend.geometry.posing import pixels_before
from backend.geometry.sampling import sample_bicubic
from backend.pipeline import Pipeline
from backend.pipeline.view_sets import ViewSet
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.shots import Shot


def turned(angle, shift=0.0):
    return HeadParameters.from_arrays([[0, 0, 0], [0, angle, 0], *np.zeros((3, 3))], (), (shift, 0, 0))


@pytest.mark.parametrize(
    ("angle", "shift", "eye"), [(0.1, 0.0, (0, 0, 1)), (0.0, 0.03, (0, 0, 1)), (0.15, 0.02, (0.2, 0.1, 1))]
)
def test_the_warp_follows_the_surface(angle, shift, eye):
    """What a picture shows now is found where the mesh says that it was: texture of the head's own, so it is equal."""
    head = little_pipeline().register(photo(), "little", "open_head", lambda *_: None).avatar
    before, now = (looking_from((0, 0, 1)), turned(0.0)), (looking_from(eye), turned(angle, shift))
    (old,), (new,) = (head.render([camera], parameters) for camera, parameters in (before, now))
    pixels, seen = pixels_before(head.mesh(), now, before, old.depth)
    assert seen.mean() > 0.5 * (new.rgba[..., 3] > 0).mean()
    assert not seen[new.rgba[..., 3] == 0].any()
    moved = sample_bicubic(old.rgba[..., :3].astype(np.float32), pixels)
    difference = np.abs(moved - new.rgba[..., :3])[seen].mean()
    still = np.abs(old.rgba[..., :3].astype(float) - new.rgba[..., :3])[seen].mean()
    assert difference < 2.5
    assert difference < 0.4 * still


def test_what_turned_into_view_is_not_known():
    head: LittleHead = little_pipeline().register(photo(), "little", "open_head", lambda *_: None).avatar
    camera = looking_from((0, 0, 1))
    old = head.render([camera], turned(0.0))[0]
    _, seen = pixels_before(head.mesh(), (camera, turned(1.2)), (camera, turned(0.0)), old.depth)
    covered = head.render([camera], turned(1.2))[0].rgba[..., 3] > 0
    columns = np.flatnonzero(covered.any(0))
    left, right = seen[:, columns[: len(columns) // 4]], seen[:, columns[-len(columns) // 4 :]]
    # Turning to its left, the head shows more of its right side (on the picture's left).
    assert min(left.sum(), right.sum()) < 0.3 * max(left.sum(), right.sum())


class Watching(Brighten):
    """Keeps what it is shown of the frames before."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def refine_batch(self, samples, reference, noise_level=0.1, seed=0, warn=None):
        refined = super().refine_batch(samples, reference, noise_level, seed, warn)
        self.shown.append((reference.images[1:], refined[0][0], samples[0][0].rgba[..., 3]))
        return refined


def test_the_frame_before_is_shown_where_it_was_seen():
    refiner = Watching()
    pipeline = Pipeline(little_catalog(refiner), device="cpu")
    registration = pipeline.register(photo(), "little", "open_head", lambda *_: None)
    view_sets = []
    for angle in (0.0, 0.1, 0.2):
        cameras = (looking_from((0, 0, 1)),)
        raw = pipeline.render_raw(registration, cameras, turned(angle))
        view_sets.append(ViewSet(registration, cameras, turned(angle), tuple(raw)))
    together = pipeline.refine_sequence(view_sets, "compact")
    assert len(together) == 3
    assert [len(images) for images, *_ in refiner.shown] == [0, 1, 1]
    for images, refined, alpha in refiner.shown[1:]:
        known = images[0][..., 3] == 255
        assert known.mean() > 0.5 * (alpha == 255).mean()
        assert np.abs(images[0][..., :3].astype(float) - refined)[known].mean() < 4


def run(output, poses):
    plan = make_plan(poses, BatchSettings(temporal=True), {}, {})
    job = Job(output)
    job.prepare()
    return run_job(plan, job, Resources(0, pipeline=little_pipeline)), plan, job


def test_a_chain_goes_on_with_the_same_pictures(tmp_path):
    poses = little_poses((Shot("long", 1, CHAIN + 3, "Cam", width=48, height=48),))
    summary, plan, _ = run(tmp_path, poses)
    assert summary.done == CHAIN + 3
    first = {number: (tmp_path / plan.path(number)).read_bytes() for number in range(len(plan))}
    (tmp_path / plan.path(7)).unlink()
    (tmp_path / plan.path(CHAIN)).unlink()
    summary, _, _ = run(tmp_path, poses)
    assert (summary.done, summary.kept) == (2, CHAIN + 1)
    assert all((tmp_path / plan.path(number)).read_bytes() == data for number, data in first.items())
    assert read_rgba(tmp_path / plan.path(7))[..., 3].any()


def test_what_changes_one_frame_changes_those_that_saw_it(tmp_path):
    poses = little_poses((Shot("long", 1, CHAIN + 3, "Cam", width=48, height=48),))
    _, _, job = run(tmp_path, poses)
    poses.columns["pose"][10, 4] += 0.01
    plan = make_plan(poses, BatchSettings(temporal=True), {}, {})
    _, missing = split_done(plan, job.records(), tmp_path)
    assert missing == list(range(10, CHAIN))
