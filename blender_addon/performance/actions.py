"""Actions made at once: a slot per data-block where Blender has them (4.4 and later), an action each before."""

from __future__ import annotations

import bpy
import numpy as np

HAS_SLOTS = bpy.app.version >= (4, 4, 0)


class ActionMaker:
    """Makes the curves of one or more data-blocks, and gives them to those when all are there."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._action: bpy.types.Action | None = None
        self._made: list[tuple[bpy.types.ID, bpy.types.Action, object]] = []

    def curves(self, block: bpy.types.ID) -> bpy.types.bpy_prop_collection:
        """The place for a data-block's new curves."""
        if not HAS_SLOTS:
            # Named for what it moves, as there is one for each.
            action = bpy.data.actions.new(self._name if not self._made else f"{self._name} {block.name}")
            self._made.append((block, action, None))
            return action.fcurves
        if self._action is None:
            self._action = bpy.data.actions.new(self._name)
            self._action.layers.new("Layer").strips.new(type="KEYFRAME")
        slot = self._action.slots.new(id_type=block.id_type, name=block.name)
        self._made.append((block, self._action, slot))
        return self._action.layers[0].strips[0].channelbag(slot, ensure=True).fcurves

    def assign(self) -> list[bpy.types.Action]:
        """Have the data-blocks play what was made; what they played before goes into their NLA, under it."""
        for block, action, slot in self._made:
            data = block.animation_data_create()
            if data.action is not None:
                _push_down(data)
            data.action = action
            if slot is not None:
                data.action_slot = slot
        return list(dict.fromkeys(action for _, action, _ in self._made))


def add_curve(
    curves: bpy.types.bpy_prop_collection,
    path: str,
    index: int,
    frames: np.ndarray,
    values: np.ndarray,
    slopes: np.ndarray,
    group: str,
) -> None:
    """A curve of Bezier keys whose handles reach a third of the way to the next key.

    Args:
        curves: see `ActionMaker.curves`.
        path, index: of the property.
        frames, values, slopes: (K,) where the keys are, and the change per frame there.
        group: the name under which the channels are shown.
    """
    curve = curves.new(path, index=index)
    points = curve.keyframe_points
    points.add(len(frames))
    steps = np.diff(frames) if len(frames) > 1 else np.ones(1)
    for name, side, reach in (
        ("co", 0, np.zeros(len(frames))),
        ("handle_left", -1, np.r_[steps[:1], steps][: len(frames)] / 3),
        ("handle_right", 1, np.r_[steps, steps[-1:]][: len(frames)] / 3),
    ):
        places = np.stack([frames + side * reach, values + side * reach * slopes], 1)
        points.foreach_set(name, places.astype(np.float32).ravel())
    kinds = {"interpolation": "BEZIER", "handle_left_type": "ALIGNED", "handle_right_type": "ALIGNED"}
    for name, kind in kinds.items():
        number = bpy.types.Keyframe.bl_rna.properties[name].enum_items[kind].value
        points.foreach_set(name, np.full(len(frames), number, np.int32))
    if group:
        _group(curve, group)


def _group(curve: bpy.types.FCurve, name: str) -> None:
    """Show a curve among those of its bone."""
    groups = getattr(curve.id_data, "groups", None) if not HAS_SLOTS else None
    if groups is not None:
        curve.group = groups.get(name) or groups.new(name)


def _push_down(data: bpy.types.AnimData) -> None:
    """The action that plays becomes a strip of the NLA, as by Blender's Push Down Action."""
    action, slot = data.action, getattr(data, "action_slot", None)
    track = data.nla_tracks.new(prev=data.nla_tracks[-1] if data.nla_tracks else None)
    strip = track.strips.new(action.name, int(action.frame_range[0]), action)
    if slot is not None:
        strip.action_slot = slot
    track.name = action.name
    data.action = None
