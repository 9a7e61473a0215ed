"""The operators in Blender's menus, where its search finds them."""

from __future__ import annotations

import bpy


class TurboPortraitMenu(bpy.types.Menu):
    bl_idname = "TURBOPORTRAIT_MT_menu"
    bl_label = "TurboPortrait"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        # Asking for a file needs the file browser, which a menu's default context skips.
        layout.operator_context = "INVOKE_DEFAULT"
        for group in GROUPS:
            for name in group:
                layout.operator(f"turboportrait.{name}")
            layout.separator()


GROUPS = (
    ("start_backend", "stop_backend", "install_backend", "remove_backend", "show_log", "copy_message", "cancel"),
    ("register_portrait", "choose_face", "inspect_portrait", "add_head", "load_head"),
    ("match_portrait", "rest_head", "keyframe_head", "reset_expressions"),
    ("add_camera", "frame_head", "turntable", "dolly", "cut_to_camera"),
    ("show_rendered", "show_image", "add_card", "render_view", "use_photo_colors", "log_figures"),
    ("choose_performance", "apply_performance", "save_performance"),
    ("find_cameras", "start_camera", "stop_camera", "take_neutral", "record", "keep_recording"),
    ("shots_from_markers", "load_shots", "render_shots", "stop_shots", "show_contact_sheet"),
)
PLACES = ("VIEW3D_MT_object", "VIEW3D_MT_pose")


def _draw_entry(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.menu(TurboPortraitMenu.bl_idname)


def _draw_add(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.operator("turboportrait.add_head", text="TurboPortrait Head", icon="USER")


def register() -> None:
    bpy.utils.register_class(TurboPortraitMenu)
    for place in PLACES:
        getattr(bpy.types, place).append(_draw_entry)
    bpy.types.VIEW3D_MT_add.append(_draw_add)


def unregister() -> None:
    bpy.types.VIEW3D_MT_add.remove(_draw_add)
    for place in PLACES:
        getattr(bpy.types, place).remove(_draw_entry)
    bpy.utils.unregister_class(TurboPortraitMenu)
