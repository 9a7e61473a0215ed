"""A performance in Blender: keys on bones and shape keys, cleaned, in a new action; a take and a tracked video."""

import sys
import time
from dataclasses import replace

import bpy
import numpy as np
import pytest

from backend.protocol.arkit import ACTIONS
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.performance import Header, Performance
from backend.protocol.retargeting import parameters_of
from backend.tracking.actions import actions_on
from backend.tracking.embedding import with_landmarks
from blender_addon.connection.link import link
from blender_addon.performance import source
from blender_addon.performance.actions import HAS_SLOTS
from blender_addon.performance.curves import needed_keys, slopes, through
from blender_addon.scene.head import ACTIONS_KEY, add_head, mesh_of
from blender_addon.scene.parameters import head_parameters
from blender_addon.scene.pose_controls import remember_portrait

RATE, FRAMES = 24, 60


@pytest.fixture
def performance() -> Performance:
    time = np.arange(FRAMES) / RATE
    wave = np.sin(2 * np.pi * time)
    expression = np.zeros((FRAMES, len(ACTIONS)))
    expression[:, ACTIONS.index("jawOpen")] = 0.5 + 0.4 * wave
    return Performance(
        Header((RATE, 1), "waves"),
        time,
        np.stack([0.2 * wave, 0.5 * wave, 0.1 * wave], 1),
        np.stack([0.01 * wave, 0 * wave, 0 * wave], 1),
        expression,
        np.repeat(np.stack([0.1 * wave, 0.2 * wave, 0 * wave], 1)[:, None], 2, 1),
        np.ones(FRAMES),
        np.zeros(FRAMES, bool),
    )


@pytest.fixture
def head(scene, head_model):
    for block in [*bpy.data.actions]:
        bpy.data.actions.remove(block)
    scene.render.fps, scene.render.fps_base = RATE, 1.0
    settings = scene.turboportrait_performance
    settings.start, settings.tolerance, settings.travels, settings.from_portrait = 10, 0.004, False, True
    settings.take_rate = "SHOWN"
    for region in settings.gains:
        setattr(settings, region, 1.0)
    head = add_head(bpy.context, head_model, "Ada")
    bpy.context.view_layer.objects.active = head
    return head


def apply(path) -> None:
    bpy.context.scene.turboportrait_performance.file = str(path)
    assert bpy.ops.turboportrait.apply_performance() == {"FINISHED"}


def posed(head, frame: float) -> HeadParameters:
    bpy.context.scene.frame_set(int(frame), subframe=frame % 1)
    return head_parameters(head, bpy.context.evaluated_depsgraph_get())


def channels(block):
    data = block.animation_data
    if not HAS_SLOTS:
        return data.action.fcurves
    return data.action.layers[0].strips[0].channelbag(data.action_slot).fcurves


def test_the_head_does_what_the_performance_says(head, head_model, performance, tmp_path):
    performance.save(tmp_path / "waves.jsonl")
    apply(tmp_path / "waves.jsonl")
    expected = parameters_of(performance, head_model.expression_names, HeadParameters())
    for row in (0, 7, 18, 31, 59):
        found = posed(head, 10 + row)
        np.testing.assert_allclose(found.pose, expected[row].pose, atol=0.012)
        np.testing.assert_allclose(found.expression, expected[row].expression, atol=0.005)
        np.testing.assert_allclose(found.translation, (0, 0, 0), atol=1e-6)


def test_curves_are_cleaned_within_the_tolerance(head, performance, tmp_path):
    performance.save(tmp_path / "waves.jsonl")
    apply(tmp_path / "waves.jsonl")
    keys = mesh_of(head).data.shape_keys
    curves = {curve.data_path: curve for curve in channels(keys)}
    assert len(curves) == len(ACTIONS)
    jaw = curves['key_blocks["jawOpen"].value']
    assert 8 < len(jaw.keyframe_points) < FRAMES / 2, len(jaw.keyframe_points)
    assert len(curves['key_blocks["cheekPuff"].value'].keyframe_points) == 1
    missed = [jaw.evaluate(10 + row) - performance.action("jawOpen")[row] for row in range(FRAMES)]
    assert np.abs(missed).max() < 0.0041


def test_one_action_has_a_slot_for_each(head, performance, tmp_path):
    performance.save(tmp_path / "waves.jsonl")
    apply(tmp_path / "waves.jsonl")
    keys = mesh_of(head).data.shape_keys
    assert head.animation_data.action.name.startswith("waves")
    if HAS_SLOTS:
        assert head.animation_data.action == keys.animation_data.action
        assert {slot.target_id_type for slot in head.animation_data.action.slots} == {"OBJECT", "KEY"}
    else:
        assert head.animation_data.action != keys.animation_data.action


def test_what_was_there_before_goes_into_the_nla(head, performance, tmp_path):
    head.pose.bones["neck"].rotation_euler = (0.3, 0, 0)
    head.pose.bones["neck"].keyframe_insert("rotation_euler", frame=1)
    before = head.animation_data.action
    performance.save(tmp_path / "waves.jsonl")
    apply(tmp_path / "waves.jsonl")
    assert head.animation_data.action != before
    assert [track.strips[0].action for track in head.animation_data.nla_tracks] == [before]


def test_gains_and_the_portrait_are_kept_to(head, head_model, performance, tmp_path):
    names = head_model.expression_names
    shown = np.zeros(len(names))
    shown[names.index("mouthSmileLeft")] = 0.5
    remember_portrait(head, HeadParameters.from_arrays(expression=shown))
    settings = bpy.context.scene.turboportrait_performance
    settings.mouth, settings.head, settings.travels = 0.5, 0.0, True
    performance.save(tmp_path / "waves.jsonl")
    apply(tmp_path / "waves.jsonl")
    found = posed(head, 16)
    assert found.expression[names.index("mouthSmileLeft")] == pytest.approx(0.5, abs=1e-3)
    assert found.expression[names.index("jawOpen")] == pytest.approx(0.5 * performance.action("jawOpen")[6], abs=5e-3)
    assert np.abs(found.joint_rotations[1]).max() < 1e-5


def test_the_neck_travels_where_it_is_asked_to(head, performance, tmp_path):
    bpy.context.scene.turboportrait_performance.travels = True
    performance.save(tmp_path / "waves.jsonl")
    apply(tmp_path / "waves.jsonl")
    np.testing.assert_allclose(posed(head, 16).translation, performance.translation[6], atol=1e-3)


def test_another_scene_rate_and_rotation_mode(head, performance, tmp_path):
    bpy.context.scene.render.fps = 48
    head.pose.bones["neck"].rotation_mode = "QUATERNION"
    performance.save(tmp_path / "waves.jsonl")
    apply(tmp_path / "waves.jsonl")
    np.testing.assert_allclose(posed(head, 10 + 2 * 7).joint_rotations[1], performance.head[7], atol=0.012)


def test_a_long_take_is_on_the_rig_in_seconds(head, tmp_path):
    rng = np.random.default_rng(0)
    values = np.clip(np.cumsum(rng.normal(0, 0.02, (10_000, 52)), 0) % 1, 0, 1)
    rows = ["Timecode,BlendShapeCount," + ",".join(ACTIONS)]
    rows += [
        f"01:{k // 3600:02}:{k // 60 % 60:02}:{k % 60:02}.0,52," + ",".join(f"{v:.4f}" for v in row)
        for k, row in enumerate(values)
    ]
    (tmp_path / "take.csv").write_text("\n".join(rows) + "\n")
    started = time.perf_counter()
    apply(tmp_path / "take.csv")
    print(f"10,000 frames took {time.perf_counter() - started:.1f} s")
    frame = 10 + round(5000 / 60 * RATE)
    name = ACTIONS[3 + 20]
    found = posed(head, frame).expression[mesh_of(head).data.turboportrait.expression_names.split("\n").index(name)]
    assert found == pytest.approx(values[5000, ACTIONS.index(name)], abs=0.02)


def test_what_is_wrong_is_reported(head, tmp_path):
    (tmp_path / "take.csv").write_text("Frame,AU\n1,2\n")
    bpy.context.scene.turboportrait_performance.file = str(tmp_path / "take.csv")
    with pytest.raises(RuntimeError, match="another app"):
        bpy.ops.turboportrait.apply_performance()
    assert not bpy.data.actions


def test_a_head_without_arkits_names_is_told(head, performance, tmp_path):
    mesh_of(head).data.turboportrait.expression_names = "expression_000"
    performance.save(tmp_path / "waves.jsonl")
    bpy.context.scene.turboportrait_performance.file = str(tmp_path / "waves.jsonl")
    with pytest.raises(RuntimeError, match="none of ARKit's"):
        bpy.ops.turboportrait.apply_performance()


def test_components_without_meaning_and_the_jaw_come_nearest(head, head_model, rigged_mesh, performance, tmp_path):
    model = with_landmarks(head_model)
    kept = [k for k, name in enumerate(model.expression_names) if name != "jawOpen"]
    mixing = np.random.default_rng(0).normal(0, 0.3, (len(kept), 40))
    components = (model.expressiondirs[:, :, kept] @ mixing).astype(np.float32)
    names = tuple(f"expression_{k:03}" for k in range(40))
    actions = actions_on(replace(model, expressiondirs=components, expression_names=names))
    offsets = np.moveaxis(components, 2, 0)[:, rigged_mesh.expression_vertices]
    mesh = replace(rigged_mesh, expression_offsets=offsets, expression_names=names, actions=actions)
    flame_head = add_head(bpy.context, mesh, "Flame")
    bpy.context.view_layer.objects.active = flame_head
    performance.save(tmp_path / "waves.jsonl")
    apply(tmp_path / "waves.jsonl")
    row = int(np.argmax(performance.action("jawOpen")))
    whole = performance.action("jawOpen")[row] * actions[ACTIONS.index("jawOpen")]
    found = posed(flame_head, 10 + row)
    np.testing.assert_allclose(found.expression, whole[:-3], atol=0.01)
    np.testing.assert_allclose(found.joint_rotations[2], whole[-3:], atol=0.01)
    assert found.joint_rotations[2, 0] > 0.1, "the jaw opens the mouth"
    # What another file says is looked at first.
    mesh_of(flame_head).data[ACTIONS_KEY] = [1.0, 2.0]
    with pytest.raises(RuntimeError, match="none of ARKit's"):
        apply(tmp_path / "waves.jsonl")


def test_what_was_put_onto_a_head_can_be_saved(head, performance, tmp_path):
    performance.save(tmp_path / "waves.jsonl")
    bpy.context.scene.turboportrait_performance.head = 0.0
    apply(tmp_path / "waves.jsonl")
    assert bpy.ops.turboportrait.save_performance(filepath=str(tmp_path / "saved.jsonl")) == {"FINISHED"}
    assert (tmp_path / "saved.jsonl").read_bytes() == (tmp_path / "waves.jsonl").read_bytes()
    with pytest.raises(RuntimeError, match=r"waves\.jsonl"):
        bpy.ops.turboportrait.save_performance(filepath=str(tmp_path / "waves.jsonl" / "saved.jsonl"))


def test_a_takes_rate_can_be_said(head, tmp_path):
    rows = [f"01:00:{k // 30:02}:{k % 30:02}.0,0.5" for k in range(60)]
    (tmp_path / "take.csv").write_text("\n".join(["Timecode,jawOpen", *rows]) + "\n")
    settings = bpy.context.scene.turboportrait_performance
    for chosen, rate in (("SHOWN", (30, 1)), ("30000/1001", (30000, 1001))):
        settings.take_rate = chosen
        apply(tmp_path / "take.csv")
        bpy.ops.turboportrait.save_performance(filepath=str(tmp_path / "saved.jsonl"))
        assert Performance.load(tmp_path / "saved.jsonl").header.fps == rate


TRACKER = """
import json, shutil, sys
words = sys.argv[1:]
assert words[0] == "track", words
print(json.dumps({"progress": 0.5, "stage": "finding landmarks"}), flush=True)
if "none" in words[1]:
    print(json.dumps({"code": "no_face_in_video", "sentence": "No face.", "hint": "Another."}), flush=True)
    sys.exit(2)
shutil.copy(r"PERFORMANCE", words[words.index("--output") + 1])
print(json.dumps({"performance": "x"}), flush=True)
"""


def test_a_videos_tracking_is_followed_and_its_errors_told(head, performance, tmp_path, monkeypatch):
    performance.save(tmp_path / "made.jsonl")
    script = tmp_path / "track.py"
    script.write_text(TRACKER.replace("PERFORMANCE", str(tmp_path / "made.jsonl")))
    monkeypatch.setattr(source, "base_command", lambda: [sys.executable, str(script)])
    for name in ("clip.mp4", "none.mp4"):
        (tmp_path / name).write_bytes(b"x")
    assert len(link.run(source.load(str(tmp_path / "clip.mp4")))) == FRAMES
    apply(tmp_path / "clip.mp4")
    assert head.animation_data.action is not None
    bpy.context.scene.turboportrait_performance.file = str(tmp_path / "none.mp4")
    with pytest.raises(RuntimeError, match="No face"):
        bpy.ops.turboportrait.apply_performance()


def test_needed_keys_keep_to_the_tolerance():
    values = np.random.default_rng(1).normal(0, 1, (300, 2)).cumsum(0)
    for tolerance in (0.01, 0.5, 3.0):
        rows = needed_keys(values, tolerance)
        assert np.abs(values - through(rows, values, slopes(values))).max() <= tolerance + 1e-9
        assert len(rows) < 300 or tolerance < 0.1
    wave = np.sin(np.linspace(0, 2 * np.pi, 100))[:, None]
    assert len(needed_keys(wave, 0.01)) < 10
    assert list(needed_keys(np.linspace(0, 1, 50)[:, None], 1e-6)) == [0, 49]
    assert list(needed_keys(np.zeros((9, 1)), 0.0)) == [0]
