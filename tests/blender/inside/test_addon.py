"""The extension comes and goes without a trace, and its panels draw."""

import bpy
import pytest

import blender_addon
from blender_addon import backend_link, panel, properties, steps
from blender_addon.connecting import connecting
from blender_addon.engine import TurboPortraitEngine


def test_it_registers_twice_and_leaves_nothing():
    for _ in range(2):
        bpy.ops.preferences.addon_enable(module="blender_addon")
        assert hasattr(bpy.types.Scene, "turboportrait")
        assert TurboPortraitEngine.is_registered
        assert "TURBOPORTRAIT3D" in bpy.types.RENDER_PT_format.COMPAT_ENGINES
        bpy.ops.preferences.addon_disable(module="blender_addon")
        assert not hasattr(bpy.types.Scene, "turboportrait")
        assert "TURBOPORTRAIT3D" not in bpy.types.RENDER_PT_format.COMPAT_ENGINES
        assert not hasattr(bpy.types, "TURBOPORTRAIT_PT_backend")


def test_every_property_and_operator_explains_itself(addon):
    for cls in properties.CLASSES:
        for name in cls.__annotations__:
            described = cls.bl_rna.properties[name]
            assert described.name
            assert described.description
            assert not described.description.endswith(".")
    for cls in (cls for module in blender_addon.OPERATORS for cls in module.CLASSES):
        assert cls.bl_description
        assert cls.bl_label[1:] == cls.bl_label[1:].lower(), "labels are in sentence case"


def test_buttons_that_cannot_be_used_are_not_offered(scene):
    assert not panel.PreviewPanel.poll(bpy.context)
    assert bpy.ops.turboportrait.start_backend.poll()
    assert not bpy.ops.turboportrait.stop_backend.poll()
    scene.camera = None
    assert not bpy.ops.turboportrait.render_view.poll()


def test_a_head_can_be_added_and_what_is_no_head_model_is_said(scene, tmp_path):
    assert bpy.ops.turboportrait.add_head() == {"FINISHED"}
    assert bpy.context.object.turboportrait.is_head
    path = tmp_path / "not_flame.npz"
    path.write_bytes(b"nothing")
    before = len(bpy.data.objects)
    with pytest.raises(RuntimeError, match=r"not_flame\.npz"):
        bpy.ops.turboportrait.load_head(filepath=str(path))
    assert len(bpy.data.objects) == before


def test_a_python_that_is_none_is_said(addon, scene, tmp_path, monkeypatch):
    monkeypatch.setenv("TURBOPORTRAIT_STATE", str(tmp_path))
    chosen = bpy.context.preferences.addons["blender_addon"].preferences
    chosen.python = str(tmp_path / "python")
    with pytest.raises(RuntimeError, match="The backend did not start"):
        bpy.ops.turboportrait.start_backend()
    chosen.python = ""


def test_a_backend_elsewhere_needs_online_access(addon):
    if bpy.app.online_access:
        with pytest.raises(backend_link.TurboPortraitError):
            steps.complete(connecting("test", _elsewhere("nonsense")), timeout=5)
    else:
        with pytest.raises(backend_link.TurboPortraitError, match="online access"):
            steps.complete(connecting("test", _elsewhere("tcp://192.0.2.1:5555")), timeout=5)


def _elsewhere(address):
    from blender_addon.preferences import Connection

    return Connection(address=address)


def test_steps_that_take_too_long_are_given_up_and_closed():
    closed = []

    def endless():
        try:
            while True:
                yield "waiting"
        finally:
            closed.append(True)

    with pytest.raises(backend_link.TurboPortraitError, match="waiting") as error:
        steps.complete(endless(), timeout=0.02)
    assert error.value.code == "timeout"
    with pytest.raises(backend_link.TurboPortraitError) as error:
        steps.complete(endless(), timeout=60, interrupted=lambda: True)
    assert error.value.code == "cancelled"
    assert closed == [True, True]
