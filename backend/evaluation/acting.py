"""A scripted performance, all of whose numbers are known, and a film of an avatar that plays it."""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from backend.avatars.base import Avatar
from backend.geometry.smoothstep import smoothstep
from backend.photos.movie_files import h264_movie
from backend.protocol.arkit import ACTIONS
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.performance import Header, Performance
from backend.protocol.pictures import bytes_over_grey
from backend.protocol.retargeting import parameters_of
from flame.rotations import axis_angle_to_matrix, matrix_to_axis_angle

RATE = 25
FRAMES = 250
YAW, PITCH, ROLL = np.radians(35), np.radians(12), np.radians(8)
LOOK_ASIDE, LOOK_UP = np.radians(18), np.radians(8)
STILL = 8
"""Frames at the start in which nothing moves: the neutral ones."""
SENSOR_NOISE = 2.0
"""Standard deviation of the film's noise, levels of 255."""
BLINK_EVERY, BLINK = 1.35, 0.14
"""Seconds from one blink to the next, and from open to closed."""
_MOVES = {
    # Action or pair: centres in shares of the clip, half width in seconds, how far.
    ("jawOpen",): ((0.08, 0.20, 0.27, 0.45, 0.62, 0.70, 0.90), 0.28, 0.7),
    ("mouthSmileLeft", "mouthSmileRight"): ((0.13, 0.40, 0.66, 0.86), 0.55, 0.8),
    ("mouthPucker",): ((0.33, 0.54, 0.79), 0.40, 0.9),
    ("browInnerUp",): ((0.17, 0.37, 0.57, 0.75, 0.95), 0.45, 0.9),
    ("eyeBlinkLeft",): ((0.49,), 0.30, 1.0),
}


def script(frames: int = FRAMES, rate: int = RATE) -> Performance:
    """Turns, nods and tilts through the whole range; speech, smiles, puckered lips, raised brows, blinks and looks.

    Args:
        frames: at least 2; they are all of the script, however many.
        rate: frames per second.
    """
    time = np.arange(frames) / rate
    length = frames / rate
    begun = smoothstep((np.arange(frames) - STILL) / rate, 0, 0.6)
    expression = np.zeros((frames, len(ACTIONS)))
    for names, (centres, width, far) in _MOVES.items():
        curve = far * sum(_bump(time, centre * length, width * length * RATE / FRAMES) for centre in centres)
        for name in names:
            expression[:, ACTIONS.index(name)] += curve
    blinks = sum(_bump(time, centre, BLINK) for centre in np.arange(1.0, length, BLINK_EVERY))
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        expression[:, ACTIONS.index(name)] += blinks

    def wave(far: float, cycles: float) -> np.ndarray:
        return begun * far * np.sin(2 * np.pi * cycles * time / length)

    turns = [wave(PITCH, 2.3), wave(YAW, 1.5), wave(ROLL, 1.1)]
    matrices = [axis_angle_to_matrix(turn[:, None] * np.eye(3)[axis]) for axis, turn in enumerate(turns)]
    gaze = np.stack([wave(LOOK_UP, 2.1), wave(LOOK_ASIDE, 3.1), np.zeros(frames)], 1)
    return Performance(
        Header((rate, 1), "scripted"),
        time,
        matrix_to_axis_angle(matrices[1] @ matrices[0] @ matrices[2]),
        np.zeros((frames, 3)),
        np.clip(begun[:, None] * expression, 0, 1),
        np.repeat(gaze[:, None], 2, 1),
        np.ones(frames),
        np.zeros(frames, bool),
    )


def still(frames: int, rate: int = RATE) -> Performance:
    """A face that does nothing."""
    whole = script(frames, rate)
    return replace(whole, head=0 * whole.head, expression=0 * whole.expression, gaze=0 * whole.gaze)


def film(
    performance: Performance, avatar: Avatar, camera: Camera, path: str | Path, noise: float = SENSOR_NOISE
) -> None:
    """An H.264 movie (MP4) of an avatar that plays a performance from its rest, over grey, with a sensor's noise.

    Args:
        camera: with even sides.
        path: of the movie.
        noise: standard deviation, levels of 255.

    Raises:
        TurboPortraitError: as `atomic_file`.
    """
    rng = np.random.default_rng(0)
    mesh = avatar.mesh()
    if mesh is None:
        raise ValueError("an avatar without a mesh has no names of expressions")
    rate = Fraction(*performance.header.fps)
    with h264_movie(path, rate, camera.width, camera.height, crf=18) as (container, stream):
        for parameters in parameters_of(performance, mesh.expression_names, HeadParameters()):
            picture = bytes_over_grey(avatar.render([camera], parameters)[0].rgba)
            noisy = picture + rng.normal(0, noise, picture.shape)
            frame = av.VideoFrame.from_ndarray(np.clip(noisy, 0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))


def _bump(time: np.ndarray, centre: float, half: float) -> np.ndarray:
    """From 0 to 1 and back within so many seconds of a centre."""
    return smoothstep(1 - np.abs(time - centre) / half)


if __name__ == "__main__":
    # The sample of docs/performance.md: `python -m backend.evaluation.acting FILE FRAMES`.
    script(int(sys.argv[2])).save(sys.argv[1])
