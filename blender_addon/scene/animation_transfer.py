"""Carries what animates a head's expression over to the shape keys of its next mesh."""

from __future__ import annotations

import bpy


def move_shape_keys(old: bpy.types.Key, new: bpy.types.Key) -> None:
    """Copy values, action, drivers and NLA tracks from one mesh's shape keys to another's, matched by name."""
    for block in old.key_blocks[1:]:
        target = new.key_blocks.get(block.name)
        if target is not None:
            target.slider_min, target.slider_max = block.slider_min, block.slider_max
            target.value, target.mute = block.value, block.mute
    source = old.animation_data
    if source is None:
        return
    data = new.animation_data_create()
    data.action = source.action
    # Blender 4.4 and later: an action has a slot for each data-block that it animates.
    if getattr(source, "action_slot", None) is not None:
        data.action_slot = source.action_slot
    for driver in source.drivers:
        data.drivers.from_existing(src_driver=driver)
    for track in source.nla_tracks:
        _copy_track(track, data.nla_tracks.new(prev=data.nla_tracks[-1] if data.nla_tracks else None))


def _copy_track(track: bpy.types.NlaTrack, target: bpy.types.NlaTrack) -> None:
    for strip in track.strips:
        if strip.action is None:
            continue
        copy = target.strips.new(strip.name, int(strip.frame_start), strip.action)
        if getattr(strip, "action_slot", None) is not None:
            copy.action_slot = strip.action_slot
        for name in ("frame_start", "frame_end", "action_frame_start", "action_frame_end", "scale", "repeat"):
            setattr(copy, name, getattr(strip, name))
        for name in ("blend_type", "extrapolation", "blend_in", "blend_out", "influence", "mute", "use_reverse"):
            setattr(copy, name, getattr(strip, name))
    target.name, target.mute = track.name, track.mute
