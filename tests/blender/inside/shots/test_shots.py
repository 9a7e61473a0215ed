"""Shots in Blender: markers, poses that travel, the list and its panel, and a real batch that Blender only watches."""

import json
import os
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

from backend.protocol.errors import TurboPortraitError
from backend.protocol.job_lock import JobLock
from backend.protocol.pose_file import PoseFile
from backend.protocol.shots import Shot
from blender_addon.scene import head_requests
from blender_addon.scene.head import add_head, mesh_of
from blender_addon.scene.portrait import pack_portrait
from blender_addon.scene.rig import write_pose
from blender_addon.shots import batch_runs
from blender_addon.shots.batch_process import BatchProgress, BatchRun
from blender_addon.shots.markers import frame_rate, marker_shots
from blender_addon.shots.pose_export import collect
from blender_addon.ui import shots_panel


@pytest.fixture
def shooting(scene, head_model, tmp_path):
    """A head with a portrait that turns, two cameras, markers at 1 and 5; frames 1 to 8; saved."""
    import skimage.data
    import skimage.io

    photo = tmp_path / "astronaut.png"
    skimage.io.imsave(photo, skimage.data.astronaut(), check_contrast=False)
    head = add_head(bpy.context, head_model, "Anna")
    properties = head.turboportrait
    properties.avatar_id, properties.maker, properties.head_model = "later", "bust", "open_head"
    properties.portrait = pack_portrait(str(photo), photo.read_bytes())
    for at, angle in ((1, -0.5), (8, 0.5)):
        write_pose(head, np.array([[0, 0, 0], [0, angle, 0], *np.zeros((3, 3))]), np.zeros(3))
        head.pose.bones["neck"].keyframe_insert("rotation_euler", frame=at)
    key = mesh_of(head).data.shape_keys.key_blocks["jawOpen"]
    for at, value in ((1, 0.0), (8, 0.8)):
        key.value = value
        key.keyframe_insert("value", frame=at)
    scene.camera.location, scene.camera.rotation_euler = (0, -1.2, 0), (np.pi / 2, 0, 0)
    other = bpy.data.objects.new("Other", bpy.data.cameras.new("Other"))
    scene.collection.objects.link(other)
    other.location, other.rotation_euler = (0.6, -1.2, 0), (np.pi / 2, 0, 0.45)
    scene.frame_start, scene.frame_end = 1, 8
    scene.timeline_markers.clear()
    scene.timeline_markers.new("wide", frame=1).camera = scene.camera
    scene.timeline_markers.new("close", frame=5).camera = other
    scene.render.resolution_x, scene.render.resolution_y = 96, 64
    scene.render.fps, scene.render.fps_base = 24, 1.0
    scene.turboportrait.output = "RAW"
    shots = scene.turboportrait_shots
    shots.items.clear()
    shots.file, shots.output, shots.movies = "", str(tmp_path / "out"), False
    yield scene
    scene.timeline_markers.clear()
    scene.turboportrait.output = "REFINED"


def test_markers_bound_to_cameras_are_shots(shooting):
    assert marker_shots(shooting) == [Shot("wide", 1, 4, "Camera"), Shot("close", 5, 8, "Other")]
    shooting.timeline_markers.new("a note", frame=3)
    shooting.frame_start = 2
    assert [(shot.first, shot.last) for shot in marker_shots(shooting)] == [(2, 4), (5, 8)]
    shooting.frame_end = 4
    assert [shot.name for shot in marker_shots(shooting)] == ["wide"]
    shooting.timeline_markers.clear()
    assert marker_shots(shooting) == [Shot("Scene", 2, 4, "Camera")]


@pytest.mark.parametrize(
    ("fps", "base", "exact"), [(24, 1.0, 24), (24, 1.001, 24000 / 1001), (30, 1.001, 30000 / 1001)]
)
def test_the_frame_rate_is_a_fraction(scene, fps, base, exact):
    scene.render.fps, scene.render.fps_base = fps, base
    assert float(frame_rate(scene)) == pytest.approx(exact, abs=1e-9)


def test_poses_are_what_the_engine_would_render(shooting, tmp_path):
    """Frame by frame the same cameras and parameters as a render request of the scene has."""
    shots = [Shot("wide", 2, 4, "Camera"), Shot("close", 3, 5, "Other", width=48)]
    collect(shooting, shots).save(tmp_path / "poses.npz")
    poses = PoseFile.load(tmp_path / "poses.npz")
    assert [(s.width, s.height) for s in poses.header.shots] == [(96, 64), (48, 32)]
    assert len(poses) == 6
    for row in range(len(poses)):
        shot = poses.header.shots[poses.columns["shot"][row]]
        shooting.frame_set(int(poses.columns["frame"][row]))
        shooting.render.resolution_x, shooting.render.resolution_y = shot.width, shot.height
        depsgraph = bpy.context.evaluated_depsgraph_get()
        (request,) = head_requests.head_requests(depsgraph, shooting, bpy.data.objects[shot.camera])
        camera, view = poses.camera(row), request.view
        assert np.allclose(camera.intrinsics, view.camera.intrinsics)
        assert np.allclose(camera.extrinsics, view.camera.extrinsics, atol=1e-6)
        assert np.allclose(poses.parameters(row).pose, request.parameters.pose, atol=1e-6)
        assert np.allclose(poses.parameters(row).expression, request.parameters.expression, atol=1e-6)
        assert poses.columns["scale"][row, 0] == pytest.approx(view.scale)


def test_a_pose_file_has_instances_and_what_a_mirrored_camera_sees(shooting, tmp_path):
    head = next(thing for thing in shooting.objects if thing.turboportrait.is_head)
    collection = bpy.data.collections.new("Anna's")
    for thing in (head, mesh_of(head)):
        collection.objects.link(thing)
    empty = bpy.data.objects.new("Twin", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", collection
    empty.location.x = 0.2
    shooting.collection.objects.link(empty)
    bpy.data.objects["Other"].scale.x = -1
    collect(shooting, [Shot("wide", 1, 1, "Camera"), Shot("close", 5, 5, "Other")]).save(tmp_path / "poses.npz")
    poses = PoseFile.load(tmp_path / "poses.npz")
    assert [info.name for info in poses.header.heads] == ["Anna", "Anna (Twin)"]
    assert poses.columns["head"].tolist() == [0, 1, 0, 1]
    assert poses.columns["mirrored"].tolist() == [[0], [0], [1], [1]]
    apart = poses.camera(1).to_camera(np.zeros(3)) - poses.camera(0).to_camera(np.zeros(3))
    np.testing.assert_allclose(apart, (0.2, 0, 0), atol=1e-6)


def test_a_pose_file_has_the_shutters_moments_where_something_moves(shooting, tmp_path):
    render = shooting.render
    render.use_motion_blur, render.motion_blur_shutter, render.motion_blur_position = True, 0.5, "CENTER"
    shooting.turboportrait.motion_blur_steps = 4
    head = next(thing for thing in shooting.objects if thing.turboportrait.is_head)
    for frame, x in ((1, 0.0), (2, 0.0), (4, 0.2)):
        head.location.x = x
        head.keyframe_insert("location", frame=frame)
    collect(shooting, [Shot("wide", 1, 3, "Camera")]).save(tmp_path / "poses.npz")
    render.use_motion_blur = False
    poses = PoseFile.load(tmp_path / "poses.npz")
    columns = poses.columns
    assert (columns["sample"][columns["frame"] == 3] == np.arange(4)).all()
    assert (columns["exposure"][columns["frame"] == 3] == 0.25).all()
    for row in np.flatnonzero(columns["frame"] == 3):
        moment = 3 + 0.5 * (-0.5 + (columns["sample"][row] + 0.5) / 4)
        shooting.frame_set(int(moment), subframe=moment % 1)
        (request,) = head_requests.head_requests(
            bpy.context.evaluated_depsgraph_get(), shooting, bpy.data.objects["Camera"]
        )
        assert np.allclose(poses.camera(row).extrinsics, request.view.camera.extrinsics, atol=1e-6)
    # What does not move needs but one.
    for animated in (head, mesh_of(head).data.shape_keys):
        animated.animation_data_clear()
    render.use_motion_blur = True
    still = collect(shooting, [Shot("wide", 1, 3, "Camera")]).columns
    assert (still["sample"].tolist(), still["exposure"].tolist()) == ([0, 0, 0], [1, 1, 1])
    render.use_motion_blur = False


def test_a_pose_file_notes_what_is_left_out(shooting):
    bpy.data.objects["Camera"].data.dof.use_dof = True
    notes = " ".join(collect(shooting, [Shot("wide", 1, 1, "Camera")]).header.notes)
    assert "The backend ignores depth of field" in notes


@pytest.fixture
def multi_view(shooting):
    """Multi-view of two cameras, Rig_L and Rig_R, at either side."""
    shooting.render.use_multiview, shooting.render.views_format = True, "MULTIVIEW"
    shooting.camera.name = "Rig_L"
    right = shooting.camera.copy()
    right.name, right.location.x = "Rig_R", 0.2
    shooting.collection.objects.link(right)
    yield shooting
    shooting.render.use_multiview, shooting.render.views_format = False, "STEREO_3D"
    for view in shooting.render.views:
        view.use = True


@pytest.mark.parametrize("camera", ["", "Rig_L", "Rig_R"])
def test_a_pose_file_has_each_camera_of_a_multi_view(multi_view, tmp_path, camera):
    collect(multi_view, [Shot("wide", 1, 2, camera)]).save(tmp_path / "poses.npz")
    poses = PoseFile.load(tmp_path / "poses.npz")
    assert [(view.name, view.suffix) for view in poses.header.views] == [("left", "_L"), ("right", "_R")]
    for view, name in enumerate(("Rig_L", "Rig_R")):
        multi_view.frame_set(2)
        (request,) = head_requests.head_requests(
            bpy.context.evaluated_depsgraph_get(), multi_view, bpy.data.objects[name]
        )
        assert np.allclose(poses.camera(1, view).extrinsics, request.view.camera.extrinsics, atol=1e-6)


def test_a_view_without_a_camera_is_a_problem_and_no_view_an_error(multi_view):
    (problem,) = collect(multi_view, [Shot("wide", 1, 2, "Rig_L"), Shot("close", 5, 6, "Other")]).header.problems
    assert problem[0] == "close"
    assert "'Other' is no multi-view camera: the view 'left' needs one whose name ends in '_L'" in problem[1]
    for view in multi_view.render.views:
        view.use = False
    with pytest.raises(TurboPortraitError) as error:
        collect(multi_view, [Shot("wide", 1, 2, "Rig_L")])
    assert error.value.code == "no_view"


def test_what_cannot_be_evaluated_is_a_problem_not_an_end(shooting):
    bpy.data.objects["Other"].data.type = "ORTHO"
    poses = collect(shooting, [Shot("a", 1, 2, "Camera"), Shot("b", 3, 4, "Other"), Shot("c", 5, 6, "Nobody")])
    assert [name for name, _ in poses.header.problems] == ["b"]
    assert "orthographic" in poses.header.problems[0][1]
    assert set(poses.columns["shot"]) == {0}


def test_the_list_keeps_its_ticks(shooting):
    assert bpy.ops.turboportrait.shots_from_markers() == {"FINISHED"}
    items = shooting.turboportrait_shots.items
    assert [(item.name, item.first, item.last, item.camera) for item in items] == [
        ("wide", 1, 4, "Camera"),
        ("close", 5, 8, "Other"),
    ]
    items["wide"].chosen = False
    assert bpy.ops.turboportrait.shots_from_markers() == {"FINISHED"}
    assert [item.chosen for item in items] == [False, True]


def test_a_list_is_loaded_from_a_file_and_its_faults_are_said(shooting, tmp_path):
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("name,first,last,camera\na,1,2,Camera\nb,3,4,Other\n")
    bad.write_text("name,first,last\na,one,2\n")
    assert bpy.ops.turboportrait.load_shots(filepath=str(good)) == {"FINISHED"}
    assert [item.name for item in shooting.turboportrait_shots.items] == ["a", "b"]
    assert str(good) in batch_runs.command(shooting, Path("x.blend"), None)
    with pytest.raises(RuntimeError, match="line 2: 'first' is 'one'"):
        bpy.ops.turboportrait.load_shots(filepath=str(bad))
    assert [item.name for item in shooting.turboportrait_shots.items] == ["a", "b"]


def test_the_panel_offers_what_can_be_done(shooting):
    assert shots_panel.ShotsPanel.poll(bpy.context)
    assert not bpy.ops.turboportrait.render_shots.poll()
    bpy.ops.turboportrait.shots_from_markers()
    assert bpy.ops.turboportrait.render_shots.poll()
    assert not bpy.ops.turboportrait.stop_shots.poll()
    assert not bpy.ops.turboportrait.show_contact_sheet.poll()


def test_a_folder_beside_a_file_that_was_never_saved_is_said(shooting):
    bpy.ops.turboportrait.shots_from_markers()
    shooting.turboportrait_shots.output = "//batch"
    if not bpy.data.filepath:
        with pytest.raises(RuntimeError, match="Save the"):
            bpy.ops.turboportrait.render_shots()
    for item in shooting.turboportrait_shots.items:
        item.chosen = False
    with pytest.raises(RuntimeError, match="No shot is ticked"):
        bpy.ops.turboportrait.render_shots(chosen_only=True)


def test_what_is_wrong_with_a_batch_is_shown(shooting, tmp_path):
    bpy.ops.turboportrait.shots_from_markers()
    bad = tmp_path / "bad.csv"
    bad.write_text("name,first,last,camera\na,1,2,Nobody\nb,2,4,Other\n")
    shooting.turboportrait_shots.file = str(bad)
    with pytest.raises(RuntimeError) as error:
        bpy.ops.turboportrait.render_shots()
    assert "line 2: the .blend has no camera 'Nobody'" in str(error.value)
    assert "line 3: the frames 2 to 2" in str(error.value)


def test_a_batch_is_rendered_beside_blender_and_resumed(shooting, tmp_path, monkeypatch):
    if not bpy.app.version_string.startswith("5.0"):
        pytest.skip("one real batch is enough: it runs in a process of its own")
    # Whoever made the folder gets no code into that process.
    (tmp_path / "out" / "backend").mkdir(parents=True)
    (tmp_path / "out" / "backend" / "__init__.py").write_text("raise SystemExit('a stranger’s code was run')")
    monkeypatch.chdir(tmp_path / "out")
    bpy.ops.turboportrait.shots_from_markers()
    shooting.turboportrait_shots.items["wide"].chosen = False
    assert bpy.ops.turboportrait.render_shots(chosen_only=True) == {"FINISHED"}
    run = batch_runs.run_of(shooting)
    assert (run.progress.done, run.progress.frames, run.progress.failed) == (4, 4, 0)
    assert len(list((tmp_path / "out").rglob("*.png"))) == 4
    assert bpy.ops.turboportrait.show_contact_sheet.poll()
    assert bpy.ops.turboportrait.render_shots() == {"FINISHED"}
    progress = batch_runs.run_of(shooting).progress
    assert {name: (shot.done, shot.frames) for name, shot in progress.shots.items()} == {
        "wide": (4, 4),
        "close": (4, 4),
    }
    assert "4 frames rendered, 4 kept" in progress.message


def test_progress_is_read_line_by_line(tmp_path):
    progress = BatchProgress(tmp_path)
    progress.file.parent.mkdir()
    assert not progress.read()
    planned = {"event": "planned", "kept": 1, "missing": 2, "shots": [{"name": "a", "frames": 3, "kept": 1}]}
    done = {"event": "frame", "shot": "a", "frame": 2, "shot_done": 2, "shot_frames": 3}
    failed = done | {"frame": 3, "code": "disk_full", "sentence": "Full."}
    text = "\n".join(map(json.dumps, (planned, done, failed))) + "\n"
    progress.file.write_text(text[:-5])
    assert progress.read()
    assert (progress.done, progress.failed) == (2, 0)
    progress.file.write_text(text)
    assert progress.read()
    assert (progress.done, progress.frames, progress.failed) == (2, 3, 1)
    assert "Full." in progress.message
    assert not progress.read()


def test_a_run_that_is_going_on_is_found_again(tmp_path):
    """Another Blender started it: its lock is held, and what it says is read from the beginning."""
    assert BatchRun.find(tmp_path) is None
    job = tmp_path / "job"
    job.mkdir()
    lock = JobLock(job / "lock.json")
    lock.acquire()
    (job / "progress.jsonl").write_text(
        json.dumps({"event": "planned", "kept": 0, "missing": 3, "shots": [{"name": "a", "frames": 3, "kept": 0}]})
        + "\n"
    )
    run = BatchRun.find(tmp_path)
    assert run.running
    assert run.progress.frames == 3
    run.stop()
    assert lock.stop_requested()
    lock.release()
    assert run.poll()
    assert run.progress.finished


@pytest.mark.parametrize("pid", [-1, 0, os.getpid()])
def test_a_strangers_lock_is_no_run_and_no_process_is_signalled(tmp_path, monkeypatch, pid):
    """A folder from elsewhere: its lock names a process, another machine, a time to come."""
    monkeypatch.setattr(os, "kill", lambda *arguments: pytest.fail(f"kill{arguments}"))
    lock = tmp_path / "job" / "lock.json"
    lock.parent.mkdir()
    lock.write_text(json.dumps({"pid": pid, "host": "elsewhere", "token": "x", "boot": "y", "started": 0.0}))
    os.utime(lock, (4e9, 4e9))
    assert BatchRun.find(tmp_path) is None
    BatchRun(tmp_path).stop()


def test_what_a_stranger_linked_is_not_written_over(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("precious")
    (tmp_path / "out" / "job").mkdir(parents=True)
    for name in ("batch.log", "progress.jsonl"):
        link = tmp_path / "out" / "job" / name
        link.unlink(missing_ok=True)
        link.symlink_to(mine)
        with pytest.raises(OSError, match=name):
            BatchRun.start([sys.executable, "-c", ""], tmp_path / "out")
        link.unlink()
    assert mine.read_text() == "precious"


def test_a_run_that_ends_for_want_of_room_says_so(tmp_path):
    progress = BatchProgress(tmp_path)
    progress.file.parent.mkdir()
    done = {"event": "done", "rendered": 0, "kept": 0, "failed": 0, "stopped": False}
    progress.file.write_text(json.dumps(done | {"code": "disk_full", "sentence": "No room."}) + "\n")
    assert progress.read()
    assert (progress.finished, progress.message) == (True, "No room.")
