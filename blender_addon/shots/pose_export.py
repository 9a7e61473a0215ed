"""Evaluates a .blend once for its shots: cameras and head parameters per frame into a pose file that needs no Blender.

Run as `python -m blender_addon.pose_export REQUEST.json` by a Python that has bpy, or within Blender by
`blender --background --python FILE -- REQUEST.json`. Each line that it prints with the prefix PROGRESS is JSON for the
one who runs it.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_

from backend.protocol.errors import TurboPortraitError
from backend.protocol.names import safe_name
from backend.protocol.pose_file import COLUMNS, Head, PoseFile, PoseHeader, empty_columns
from backend.protocol.shots import EvaluationRequest, Shot, decode_request, plain

from ..package_name import ADDON
from ..render.frame import shutter_moments
from ..render.stereo import eyes_of, rendered_views
from ..scene.camera import CameraError, HeadView, view_of_head
from ..scene.compositing import world_color
from ..scene.head import VisibleHead, visible_heads
from ..scene.material import pixels_of
from ..scene.parameters import head_parameters
from ..scene.portrait import portrait_bytes
from ..scene.texture import image_key, texture_of, texture_sha256
from ..scene.unsupported import unsupported_in_scene
from .markers import frame_rate, marker_shots

PROGRESS = "@poses "


def main(request_path: str) -> None:
    """Carry out a request."""
    try:
        _evaluate(decode_request(Path(request_path).read_bytes()))
    except TurboPortraitError as error:
        tell(code=error.code, sentence=error.sentence)
        raise


def _evaluate(request: EvaluationRequest) -> None:
    if ADDON not in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_enable(module=ADDON)
    # Said here, too: opening a file by a script goes by the preferences, not by --disable-autoexec.
    bpy.ops.wm.open_mainfile(filepath=request.blend, load_ui=False, use_scripts=False)
    scene = _scene(request.scene)
    digest = hashlib.sha256(Path(request.blend).read_bytes()).hexdigest()
    shots = marker_shots(scene) if request.shots is None else list(request.shots)
    if request.output:
        collect(scene, shots, digest).save(request.output)
    rate = frame_rate(scene)
    tell(
        done=True,
        fps=[rate.numerator, rate.denominator],
        cameras=sorted(cameras_by_name(scene)),
        heads=list(portrait_heads(scene)),
        shots=[plain(shot) for shot in shots],
        blend_sha256=digest,
    )


def _scene(name: str) -> bpy.types.Scene:
    """The .blend's scene of that name, made the current one."""
    window = bpy.context.window or bpy.context.window_manager.windows[0]
    if name:
        if name not in bpy.data.scenes:
            there = ", ".join(scene.name for scene in bpy.data.scenes)[:300]
            said = rpt_("{scene}; there are: {scenes}").format(scene=repr(name[:100]), scenes=there)
            raise TurboPortraitError("no_scene", said)
        window.scene = bpy.data.scenes[name]
    return window.scene


def cameras_by_name(scene: bpy.types.Scene) -> dict[str, bpy.types.Object]:
    """The scene's cameras, also by the names of the markers that are bound to them: movies of shots have those."""
    bound = {safe_name(marker.name): marker.camera for marker in scene.timeline_markers if marker.camera is not None}
    return bound | {thing.name: thing for thing in scene.objects if thing.type == "CAMERA"}


def portrait_heads(scene: bpy.types.Scene) -> dict[str, bpy.types.Object]:
    """By name the scene's heads that have a portrait, and the instances of heads that are shown now."""
    heads = {thing.name: thing for thing in scene.objects if thing.turboportrait.is_head}
    heads |= {seen.name: seen.head for seen in visible_heads(bpy.context.evaluated_depsgraph_get())}
    return {name: heads[name] for name in sorted(heads) if _photo(heads[name])}


def collect(scene: bpy.types.Scene, shots: Sequence[Shot], blend_sha256: str = "") -> PoseFile:
    """Evaluate a scene for its shots, each frame of the scene once, or at each of the shutter's moments.

    What cannot be evaluated (an orthographic camera, a stretched head) is a problem in the header, once per shot.

    Raises:
        TurboPortraitError: no_view.
    """
    known = cameras_by_name(scene)
    shots = [_sized(shot, scene) for shot in shots]
    collector = _Collector(scene, known)
    wanted = [shot for shot in shots if not shot.camera or shot.camera in known]
    pictures: dict[float, list[tuple[int, int]]] = {}
    for index, shot in enumerate(shots):
        for frame in shot.frames if shot in wanted else ():
            pictures.setdefault(shot.time(frame), []).append((index, frame))
    for count, time in enumerate(sorted(pictures), 1):
        moments = shutter_moments(scene, time)
        for sample, moment in enumerate(moments):
            scene.frame_set(math.floor(moment), subframe=moment - math.floor(moment))
            for index, frame in pictures[time]:
                collector.add(index, shots[index], frame, sample)
        collector.expose(len(moments))
        if count % 50 == 0 or count == len(pictures):
            tell(frame=count, frames=len(pictures))
    rate = frame_rate(scene)
    color = world_color(scene)
    header = PoseHeader(
        blend_sha256=blend_sha256,
        fps=(rate.numerator, rate.denominator),
        cameras=tuple(sorted(known)),
        heads=tuple(_head_info(name, head, collector.expressions[name]) for name, head in collector.heads.items()),
        shots=tuple(shots),
        background=(float(color[0]), float(color[1]), float(color[2])),
        views=tuple(collector.views),
        problems=tuple(collector.problems.items()),
        notes=(*_scripts_left_out(), *collector.notes),
    )
    heads = list(zip(header.heads, collector.heads.values(), strict=True))
    portraits = {info.portrait_sha256: _photo(head) for info, head in heads}
    textures = {info.texture_sha256: pixels_of(texture_of(head)) for info, head in heads if info.texture_sha256}
    return PoseFile(header, collector.columns(), portraits, textures)


class _Collector:
    """Rows of the table, as they come."""

    def __init__(self, scene: bpy.types.Scene, cameras: dict[str, bpy.types.Object]) -> None:
        self._scene = scene
        self._cameras = cameras
        self.views = rendered_views(scene.render)
        if not self.views:
            raise TurboPortraitError("no_view", scene.name)
        self._rows: list[tuple] = []
        self._samples: dict[tuple[int, int], list[list[tuple]]] = {}
        self.heads = portrait_heads(scene)
        self.expressions = dict.fromkeys(self.heads, 0)
        self.problems: dict[str, str] = {}
        self.notes: dict[str, None] = {}

    def add(self, index: int, shot: Shot, frame: int, sample: int) -> None:
        """One frame of one shot at one moment of the shutter: a row for each head that is to be seen."""
        heads: list[tuple] = []
        self._samples.setdefault((index, frame), []).append(heads)
        render = self._scene.render
        render.resolution_x, render.resolution_y, render.resolution_percentage = shot.width, shot.height, 100
        render.use_border = False
        camera = self._cameras[shot.camera] if shot.camera else self._scene.camera
        depsgraph = bpy.context.evaluated_depsgraph_get()
        if frame == shot.first and not sample:
            self.notes |= dict.fromkeys(unsupported_in_scene(depsgraph, camera))
        for seen in visible_heads(depsgraph):
            if shot.avatar not in ("", seen.name) or not self._known(seen):
                continue
            try:
                views = self._head_views(camera, seen, depsgraph)
                parameters = head_parameters(seen.head, depsgraph)
            except (CameraError, ValueError) as error:
                self.problems.setdefault(shot.name, f"frame {frame}, {seen.name}: {error}")
                continue
            self.expressions[seen.name] = len(parameters.expression)
            which = list(self.heads).index(seen.name)
            numbers = [(view.camera.K, view.camera.world_to_camera, view.scale, view.mirrored) for view in views]
            head_numbers = (parameters.pose, parameters.translation, parameters.expression)
            heads.append((which, *zip(*numbers, strict=True), *head_numbers))

    def _head_views(
        self, camera: bpy.types.Object, seen: VisibleHead, depsgraph: bpy.types.Depsgraph
    ) -> list[HeadView]:
        """What each view of the render sees of a head."""
        eyes = [eyes_of(self._scene, camera, depsgraph, view.name) for view in self.views]
        return [view_of_head(each, seen.matrix, self._scene.render, depsgraph, eye=eye) for each, eye in eyes]

    def expose(self, count: int) -> None:
        """The frames that were added since are whole, each of so many samples; what does not move needs but one."""
        for (index, frame), samples in self._samples.items():
            moves = any(heads != samples[0] for heads in samples)
            for sample, heads in enumerate(samples if moves else samples[:1]):
                exposure = 1 / count if moves else 1.0
                self._rows += [(index, frame, sample, which, exposure, *numbers) for which, *numbers in heads]
        self._samples.clear()

    def _known(self, seen: VisibleHead) -> bool:
        """It has a portrait; an instance may come into sight later than the others."""
        if seen.name not in self.heads and _photo(seen.head):
            self.heads[seen.name], self.expressions[seen.name] = seen.head, 0
        return seen.name in self.heads

    def columns(self) -> dict[str, np.ndarray]:
        """The table, sorted."""
        rows = sorted(self._rows, key=lambda row: row[:4])
        widest = max(self.expressions.values(), default=0)
        table = empty_columns(len(rows), len(self.views), widest)
        for number, row in enumerate(rows):
            *others, expression = row
            table["expression"][number, : len(expression)] = expression
            for name, value in zip(COLUMNS, others, strict=False):
                table[name][number] = value
        return table


def _scripts_left_out() -> tuple[str, ...]:
    """A sentence where the file would have run scripts: what they move stays as it is without them."""
    if not bpy.app.autoexec_fail:
        return ()
    return (f"Scripts of the .blend are not run ({bpy.app.autoexec_fail_message}): bake what they move to keyframes.",)


def _sized(shot: Shot, scene: bpy.types.Scene) -> Shot:
    """The shot with a size: its own, else the scene's; a side alone keeps the scene's aspect."""
    render = scene.render
    width, height = (max(side * render.resolution_percentage // 100, 1) for side in _resolution(render))
    if shot.width and not shot.height:
        width, height = shot.width, max(round(shot.width * height / width), 1)
    elif shot.height and not shot.width:
        width, height = max(round(shot.height * width / height), 1), shot.height
    elif shot.width:
        width, height = shot.width, shot.height
    return shot.sized(width, height)


def _resolution(render: bpy.types.RenderSettings) -> tuple[int, int]:
    return render.resolution_x, render.resolution_y


def _photo(head: bpy.types.Object) -> bytes:
    return portrait_bytes(image_key(head.turboportrait.portrait), head.turboportrait.portrait_sha256)


def _head_info(name: str, head: bpy.types.Object, expressions: int) -> Head:
    properties = head.turboportrait
    return Head(
        name=name,
        maker=properties.maker,
        head_model=properties.head_model,
        portrait_sha256=hashlib.sha256(_photo(head)).hexdigest(),
        portrait_name=properties.portrait.name,
        expressions=expressions,
        texture_sha256=texture_sha256(head, now=True),
        face=properties.portrait_face,
    )


def tell(**fields: object) -> None:
    """One line of progress for the parent process."""
    print(PROGRESS + json.dumps(fields), flush=True)


if __name__ == "__main__":
    main(sys.argv[-1])
