"""A batch renders what F12 does: one scene by both, their pictures compared."""

from pathlib import Path

import bpy
import numpy as np
import pytest

from backend.batch.images import read_rgba
from backend.batch.job import Job
from backend.batch.plan import BatchSettings, make_plan
from backend.batch.run import Resources, run_job
from backend.protocol.pictures import premultiplied
from backend.protocol.shots import RAW, Shot
from blender_addon.shots.pose_export import collect

pytestmark = pytest.mark.usefixtures("own_backend")
TESTS = Path(__file__).parents[3]


@pytest.fixture
def moving(scene, little_head):
    """A head that crosses the frame while the shutter is open."""
    for frame, x in ((0, -0.2), (10, 0.2)):
        little_head.location.x = x
        little_head.keyframe_insert("location", frame=frame)
    scene.render.engine = "TURBOPORTRAIT3D"
    scene.render.resolution_x = scene.render.resolution_y = 96
    scene.render.film_transparent, scene.render.image_settings.color_mode = True, "RGBA"
    scene.view_settings.view_transform = "Standard"
    scene.turboportrait.output = "RAW"
    scene.turboportrait.motion_blur_steps = 5
    scene.render.motion_blur_shutter = 2.0
    yield scene
    scene.render.use_motion_blur = False
    scene.frame_set(1)


@pytest.mark.parametrize("blurred", [False, True])
def test_motion_blur_is_the_same(moving, tmp_path, monkeypatch, blurred):
    for folder in ("batch", "pipeline"):
        monkeypatch.syspath_prepend(TESTS / folder)
    from little_shots import little_pipeline

    moving.render.use_motion_blur = blurred
    moving.frame_set(4)
    moving.render.filepath = str(tmp_path / "f12.png")
    bpy.ops.render.render(write_still=True)
    plan = make_plan(collect(moving, [Shot("a", 4, 4, "Camera")]), BatchSettings(quality=RAW), {}, {})
    job = Job(tmp_path / "batch")
    job.prepare()
    summary = run_job(plan, job, Resources(workers=0, pipeline=little_pipeline), ())
    assert summary.failures == []
    f12, batch = (premultiplied(read_rgba(path)) for path in (tmp_path / "f12.png", tmp_path / "batch" / plan.path(0)))
    half_clear = (batch[..., 3] > 0.1) & (batch[..., 3] < 0.9)
    assert (half_clear.mean() > 0.05) == blurred
    np.testing.assert_allclose(batch, f12, atol=0.02)
