"""The extension comes and goes without a trace, and its panels draw."""

import bpy
import pytest

import blender_addon
from blender_addon.connection import connect as connecting_module
from blender_addon.connection import link as link_module
from blender_addon.connection import preferences, tasks
from blender_addon.connection.connect import connect
from blender_addon.render.engine import TurboPortraitEngine
from blender_addon.scene import properties as scene_properties
from blender_addon.shots import properties as shots_properties
from blender_addon.ui import menu, panels
from blender_addon.ui.properties import SceneProperties


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
    chosen = bpy.context.preferences.addons["blender_addon"].preferences
    groups = [
        (cls, cls.bl_rna)
        for cls in (SceneProperties, *scene_properties.CLASSES, *shots_properties.CLASSES, type(chosen))
    ]
    groups += [(cls, call(cls).get_rna_type()) for cls in operators()]
    described = [rna.properties[name] for cls, rna in groups for name in getattr(cls, "__annotations__", ())]
    # The file browser's filter is hidden.
    described = [each for each in described if each.identifier != "filter_glob"]
    assert len(described) > 40
    for each in described:
        assert each.name, each.identifier
        assert each.description, each.identifier
        assert not each.description.endswith("."), "Blender adds the full stop"
    items = [item for each in described if each.type == "ENUM" for item in each.enum_items]
    assert items
    assert all(item.name and item.description for item in items)
    for cls in operators():
        assert cls.bl_description, cls.bl_idname
        assert not cls.bl_description.endswith("."), cls.bl_idname
        assert cls.bl_label[1:] == cls.bl_label[1:].lower(), "labels are in sentence case"
    labels = [cls.bl_label for cls in operators()]
    assert len(set(labels)) == len(labels), "the search menu shows labels"


def operators() -> list[type[bpy.types.Operator]]:
    return [cls for module in blender_addon.OPERATORS for cls in module.CLASSES]


def call(cls: type[bpy.types.Operator]):
    return getattr(bpy.ops.turboportrait, cls.bl_idname.split(".")[1])


WITHOUT_A_TRACE_IN_THE_FILE = {
    "start_backend",
    "stop_backend",
    "install_backend",
    "remove_backend",
    "cancel",
    "copy_message",
    "render_shots",
    "stop_shots",
    "show_contact_sheet",
    "find_cameras",
    "start_camera",
    "stop_camera",
    "take_neutral",
    "record",
    "save_performance",
}


def test_operators_that_change_the_file_can_be_undone_and_only_they(addon):
    """Undo takes the file back to before; an operator without it would be undone with the one before it."""
    without = {cls.bl_idname.split(".")[1] for cls in operators() if "UNDO" not in getattr(cls, "bl_options", ())}
    assert without == WITHOUT_A_TRACE_IN_THE_FILE


def test_the_search_menu_finds_every_operator(addon):
    """It looks through the menus."""
    listed = [name for group in menu.GROUPS for name in group]
    assert sorted(listed) == sorted(cls.bl_idname.split(".")[1] for cls in operators())


def test_a_button_that_cannot_be_pressed_says_why(scene, monkeypatch):
    scene.camera = None
    monkeypatch.setattr(connecting_module, "find_backend", lambda: None)
    monkeypatch.setattr(preferences, "backend_command", lambda python: None)
    silent, refused = [], []
    for cls in operators():
        operator = call(cls)
        if not operator.poll():
            with pytest.raises(RuntimeError) as error:
                operator()
            refused.append(cls.bl_label)
            if "context is incorrect" in str(error.value):
                silent.append(cls.bl_label)
    assert len(refused) > 12
    assert {"Register portrait", "Stop shots", "Contact sheet", "Turntable", "Show in viewport"} <= set(refused)
    assert not silent


def test_buttons_that_cannot_be_used_are_not_offered(scene):
    assert not panels.PreviewPanel.poll(bpy.context)
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
        with pytest.raises(link_module.TurboPortraitError):
            tasks.complete(connect("test", _elsewhere("nonsense")), timeout=5)
    else:
        with pytest.raises(link_module.TurboPortraitError, match="online access"):
            tasks.complete(connect("test", _elsewhere("tcp://192.0.2.1:5555")), timeout=5)


def _elsewhere(address):
    from blender_addon.connection.preferences import ConnectionSettings

    return ConnectionSettings(address=address)


def test_steps_that_take_too_long_are_given_up_and_closed():
    closed = []

    def endless():
        try:
            while True:
                yield "waiting"
        finally:
            closed.append(True)

    with pytest.raises(link_module.TurboPortraitError, match="waiting") as error:
        tasks.complete(endless(), timeout=0.02)
    assert error.value.code == "timeout"
    with pytest.raises(link_module.TurboPortraitError) as error:
        tasks.complete(endless(), timeout=60, interrupted=lambda: True)
    assert error.value.code == "cancelled"
    assert closed == [True, True]
