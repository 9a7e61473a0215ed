"""Is a shot list one that can be rendered, by itself and with a .blend's cameras and heads?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction
from itertools import pairwise

from backend.batch.patterns import frame_path, name_problem, pattern_problem
from backend.batch.problems import Problem
from backend.batch.rates import rate_text
from backend.protocol import limits
from backend.protocol.shots import RAW, Shot

MAX_FRAME = 1_048_574
"""Blender's own limit."""
MAX_FRAMES = 1_000_000
"""Of all shots together."""


def check_shots(
    shots: Sequence[Shot], presets: Collection[str], default_output: str, overlaps: bool = False
) -> list[Problem]:
    """What a list alone shows to be wrong.

    Args:
        presets: refiner presets that are ready.
        default_output: the pattern for shots without one.
        overlaps: frames may belong to several shots.
    """
    problems = [Problem(shot.line, sentence) for shot in shots for sentence in _about(shot, presets)]
    seen: dict[str, Shot] = {}
    for shot in shots:
        # Some file systems don't tell capitals apart.
        other = seen.setdefault(shot.name.lower(), shot)
        if other is not shot:
            problems.append(Problem(shot.line, f"the name '{shot.name}' is taken{_at(other)}"))
    if sum(len(shot.frames) for shot in shots) > MAX_FRAMES:
        problems.append(Problem(0, f"more than {MAX_FRAMES:,} frames in all: split the list"))
    if not overlaps:
        problems += _overlaps(shots)
    return problems + _collisions(shots, default_output)


def _about(shot: Shot, presets: Collection[str]) -> list[str]:
    found = [name_problem(shot.name), pattern_problem(shot.output) if shot.output else ""]
    if shot.first > shot.last:
        found.append(f"the shot '{shot.name}' is reversed: first {shot.first}, last {shot.last}")
    if max(abs(shot.first), abs(shot.last)) > MAX_FRAME:
        found.append(f"the shot '{shot.name}' has frames beyond ±{MAX_FRAME:,}")
    for side in (shot.width, shot.height):
        if not 0 <= side <= limits.MAX_IMAGE_SIDE:
            found.append(
                f"the shot '{shot.name}' is {side} pixels on a side; 1 to {limits.MAX_IMAGE_SIDE} are possible"
            )
    if shot.quality and shot.quality != RAW and shot.quality not in presets:
        found.append(f"the quality '{shot.quality}' is not ready here; there are: {', '.join((RAW, *sorted(presets)))}")
    return [sentence for sentence in found if sentence]


def _overlaps(shots: Sequence[Shot]) -> list[Problem]:
    ordered = sorted((shot for shot in shots if shot.frames), key=lambda shot: (shot.first, shot.last))
    problems, furthest = [], None
    for earlier, shot in pairwise([None, *ordered]):
        if earlier is not None and (furthest is None or earlier.last > furthest.last):
            furthest = earlier
        if furthest is not None and shot.first <= furthest.last:
            a, b = sorted((shot, furthest), key=lambda s: s.line)
            first, last = max(a.first, b.first), min(a.last, b.last)
            sentence = f"the frames {first} to {last} of '{b.name}' are in '{a.name}' too{_at(a)}"
            problems.append(Problem(b.line, f"{sentence} (--overlaps allows it)"))
    return problems


def _collisions(shots: Sequence[Shot], default_output: str) -> list[Problem]:
    """Shots that would write the same files: their patterns differ by nothing but the frame, and their frames meet."""
    problems, seen = [], {}
    for shot in shots:
        pattern = shot.output or default_output
        if pattern_problem(pattern) or name_problem(shot.name):
            continue
        for other in seen.setdefault(frame_path(pattern, shot, 0).lower(), []):
            if other.first <= shot.last and shot.first <= other.last and other.name.lower() != shot.name.lower():
                sentence = f"'{shot.name}' would overwrite pictures of '{other.name}'{_at(other)}: use {{shot}}"
                problems.append(Problem(shot.line, sentence))
        seen[frame_path(pattern, shot, 0).lower()].append(shot)
    return problems


def check_scene(
    shots: Sequence[Shot],
    rate: tuple[Fraction | None, int],
    scene_rate: Fraction,
    cameras: Collection[str],
    heads: Collection[str],
) -> list[Problem]:
    """What a list and a .blend disagree about.

    Args:
        rate: the list's frames per second and its line.
        cameras, heads: names of the .blend's camera objects, and of its heads that have a portrait.
    """
    problems = []
    if rate[0] not in (None, scene_rate):
        sentence = f"the list has {rate_text(rate[0])} frames per second, the .blend {rate_text(scene_rate)}"
        problems.append(Problem(rate[1], f"{sentence}: make them the same (an EDL's rate is set by --fps)"))
    if not heads:
        problems.append(Problem(0, "the .blend has no head with a portrait: register one in Blender and save"))
    for shot in shots:
        if shot.camera and shot.camera not in cameras:
            there = ", ".join(sorted(cameras)[:20]) or "none"
            problems.append(Problem(shot.line, f"the .blend has no camera '{shot.camera}'; there are: {there}"))
        if heads and shot.avatar and shot.avatar not in heads:
            there = ", ".join(sorted(heads)[:20])
            problems.append(Problem(shot.line, f"the .blend has no head '{shot.avatar}'; there are: {there}"))
        if shot.portrait and not shot.avatar and len(heads) > 1:
            problems.append(Problem(shot.line, "which head gets the portrait? Name it in 'avatar'"))
    return problems


def _at(shot: Shot) -> str:
    return f" (line {shot.line})" if shot.line else f" ('{shot.name}')"
