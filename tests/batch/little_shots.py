"""Poses of a little head without a .blend, and a pipeline that renders it: a ball turning before a camera."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np
from little_head import LittleHead, little_catalog, looking_from, make_little_head, photo

from backend.pipeline import Pipeline
from backend.protocol.pose_file import COLUMNS, Head, PoseFile, PoseHeader, SceneView, row_shapes
from backend.protocol.shots import Shot

SHOTS = (Shot("turn", 1, 6, "Cam", width=64, height=48), Shot("nod", 10, 15, "Cam", width=40, height=40))


STEREO = (SceneView("left", "_L"), SceneView("right", "_R"))


def little_poses(shots=SHOTS, heads=("Ball",), fps=(24, 1), apart=0.25, samples=1, views=(SceneView(),)) -> PoseFile:
    """Heads beside each other, each turning by a tenth of a radian per frame, from the front again after fifty.

    With several samples they travel by a tenth of a metre while the shutter is open; each view's camera stands a tenth
    of a metre beside the one before.
    """
    face = photo()
    digest = hashlib.sha256(face).hexdigest()
    infos = tuple(Head(name, "little", "open_head", digest, "ball.png", 2) for name in heads)
    rows = []
    for index, shot in enumerate(shots):
        places = [(0.1 * i, 0, 1) for i in range(len(views))]
        cameras = [looking_from(place, shot.width, shot.height, focal=2.0 * shot.height) for place in places]
        seen = ([c.K for c in cameras], [c.world_to_camera for c in cameras], [1.0] * len(views), [0] * len(views))
        for frame in shot.frames:
            for sample, number in np.ndindex(samples, len(heads)):
                pose = np.zeros(15)
                pose[4] = 0.1 * (frame % 50)
                travelled = 0.1 * sample / max(samples - 1, 1)
                place = (apart * (number - (len(heads) - 1) / 2) + travelled, 0, 0.05 * number)
                which = (index, frame, sample, number, 1 / samples)
                rows.append((*which, *seen, pose, place, (0.1, 0.0)))
    shapes = row_shapes(len(views), 2)
    columns = {
        name: np.array([row[i] for row in rows], kind).reshape(len(rows), *shapes[name])
        for i, (name, (kind, _)) in enumerate(COLUMNS.items())
    }
    header = PoseHeader("0" * 64, fps, ("Cam",), infos, tuple(shots), (0.1, 0.2, 0.3), tuple(views))
    return PoseFile(header, columns, {digest: face})


def little_pipeline() -> Pipeline:
    """A worker's pipeline of little heads; importable by Ray's workers."""
    return Pipeline(little_catalog(), device="cpu")


class _Slow(LittleHead):
    """Renders, then waits for a file to be made: a test decides when the worker goes on."""

    def render(self, cameras, parameters):
        gate = os.environ.get("LITTLE_GATE")
        if gate and round(parameters.pose[4] * 10) >= int(os.environ["LITTLE_GATE_FRAME"]):
            Path(gate + ".reached").touch()
            while not Path(gate).exists():
                time.sleep(0.01)
        return super().render(cameras, parameters)


def _make_slow(data, model, progress, *, face=0):
    head = make_little_head(data, model, progress)
    head.__class__ = _Slow
    return head


def gated_pipeline() -> Pipeline:
    """Like `little_pipeline`, but from the frame LITTLE_GATE_FRAME on rendering waits for the file LITTLE_GATE."""
    return Pipeline(little_catalog(maker=_make_slow), device="cpu")
