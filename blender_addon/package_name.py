"""What Blender calls the add-on: `blender_addon` in a checkout, `bl_ext.user_default.turboportrait3d` installed."""

ADDON = __package__
