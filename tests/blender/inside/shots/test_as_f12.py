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
from blender_addon.render import engine
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
    scene.render.use_motion_blur = scene.render.use_multiview = False
    scene.frame_set(1)


@pytest.fixture
def batch(moving, tmp_path, monkeypatch):
    """batch(quality) -> the plan of the scene's fourth frame, rendered into the folder `batch`."""
    for folder in ("batch", "pipeline"):
        monkeypatch.syspath_prepend(TESTS / folder)
    from little_shots import little_pipeline

    def render(quality=RAW):
        plan = make_plan(collect(moving, [Shot("a", 4, 4, "Camera")]), BatchSettings(quality=quality), {}, {})
        job = Job(tmp_path / "batch")
        job.prepare()
        assert run_job(plan, job, Resources(workers=0, pipeline=little_pipeline), ()).failures == []
        return plan

    return render


@pytest.mark.parametrize("blurred", [False, True])
def test_motion_blur_is_the_same(moving, batch, tmp_path, blurred):
    moving.render.use_motion_blur = blurred
    moving.frame_set(4)
    moving.render.filepath = str(tmp_path / "f12.png")
    bpy.ops.render.render(write_still=True)
    ours = premultiplied(read_rgba(tmp_path / "batch" / batch().path(0)))
    half_clear = (ours[..., 3] > 0.1) & (ours[..., 3] < 0.9)
    assert (half_clear.mean() > 0.05) == blurred
    np.testing.assert_allclose(ours, premultiplied(read_rgba(tmp_path / "f12.png")), atol=0.02)


@pytest.mark.parametrize("quality", [RAW, "compact"])
@pytest.mark.parametrize("blurred", [False, True])
def test_stereoscopy_is_the_same(moving, batch, tmp_path, monkeypatch, quality, blurred):
    """By F12 and by a batch each eye has the same camera, the same picture and the same end of its file's name."""
    moving.render.use_multiview, moving.render.use_motion_blur = True, blurred
    moving.render.image_settings.views_format = "INDIVIDUAL"
    stereo = moving.camera.data.stereo
    stereo.interocular_distance, stereo.convergence_distance = 0.2, 1.2
    moving.turboportrait.output = "RAW" if quality == RAW else "REFINED"
    moving.frame_set(4)
    moving.render.filepath = str(tmp_path / "f12.png")
    asked, real = [], engine.render_heads
    monkeypatch.setattr(engine, "render_heads", lambda client, *rest: asked.append(rest[0]) or real(client, *rest))
    bpy.ops.render.render(write_still=True)
    plan = batch(quality)
    assert len(asked) == len(plan.poses) == (5 if blurred else 1)
    for row, (head,) in enumerate(asked):
        for eye, view in enumerate(head.views):
            camera = plan.poses.camera(row, eye)
            np.testing.assert_allclose(camera.intrinsics, view.camera.intrinsics, rtol=1e-9)
            np.testing.assert_allclose(camera.extrinsics, view.camera.extrinsics, atol=1e-9)
    pictures = []
    for eye, suffix in enumerate(("_L", "_R")):
        assert plan.path(eye) == f"a/a.0004{suffix}.png"
        pictures.append(premultiplied(read_rgba(tmp_path / "batch" / plan.path(eye))))
        np.testing.assert_allclose(pictures[-1], premultiplied(read_rgba(tmp_path / f"f12{suffix}.png")), atol=0.02)
    assert np.abs(pictures[0] - pictures[1]).max() > 0.3
