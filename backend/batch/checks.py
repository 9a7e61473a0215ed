"""Is a shot list one that can be rendered, by itself and with a .blend's cameras and heads?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from itertools import permutations

from backend.batch.patterns import SUFFIXES, frame_path, name_key, name_problem, path_problem, pattern_problem
from backend.batch.problems import Problem
from backend.batch.rates import rate_text
from backend.protocol import limits
from backend.protocol.pose_file import SceneView
from backend.protocol.shots import RAW, Shot


def check_shots(
    shots: Sequence[Shot], presets: Collection[str], default_output: str, overlaps: bool = False
) -> list[Problem]:
    """What a list alone shows to be wrong.

    Args:
        presets: refiner presets that are ready.
        default_output: the pattern for shots without one.
        overlaps: frames may belong to several shots.
    """
    problems = [Problem(shot.line, sentence) for shot in shots for sentence in _about(shot, presets, default_output)]
    seen: dict[str, Shot] = {}
    for shot in shots:
        other = seen.setdefault(name_key(shot.name), shot)
        if other is not shot:
            problems.append(Problem(shot.line, f"the name '{shot.name}' is taken{_at(other)}"))
    if sum(shot.count for shot in shots) > limits.MAX_SHOT_FRAMES:
        problems.append(Problem(0, f"more than {limits.MAX_SHOT_FRAMES:,} frames in all: split the list"))
    if not overlaps:
        problems += _overlaps(shots)
    return problems + _collisions(shots, default_output)


def _about(shot: Shot, presets: Collection[str], default_output: str) -> list[str]:
    pattern = shot.output or default_output
    found = [name_problem(shot.name), pattern_problem(shot.output) if shot.output else ""]
    if not any(found) and not pattern_problem(pattern):
        ends = {path_problem(frame_path(pattern, shot, frame), SUFFIXES) for frame in (shot.first, shot.last)}
        found += sorted(ends)
    if shot.first > shot.last:
        found.append(f"the shot '{shot.name}' is reversed: first {shot.first}, last {shot.last}")
    if max(abs(shot.first), abs(shot.last)) > limits.MAX_FRAME:
        found.append(f"the shot '{shot.name}' has frames beyond ±{limits.MAX_FRAME:,}")
    if not 0 <= shot.speed <= limits.MAX_SPEED:
        found.append(f"the shot '{shot.name}' has the speed {shot.speed:g}; 0 to {limits.MAX_SPEED:g} are possible")
    elif shot.count and abs(shot.time(shot.last)) > limits.MAX_FRAME:
        found.append(f"the shot '{shot.name}' shows frames beyond ±{limits.MAX_FRAME:,}")
    for side in (shot.width, shot.height):
        if not 0 <= side <= limits.MAX_IMAGE_SIDE:
            found.append(
                f"the shot '{shot.name}' is {side} pixels on a side; 1 to {limits.MAX_IMAGE_SIDE} are possible"
            )
    if shot.quality and shot.quality != RAW and shot.quality not in presets:
        found.append(f"the quality '{shot.quality}' is not ready here; there are: {', '.join((RAW, *sorted(presets)))}")
    return [sentence for sentence in found if sentence]


def _overlaps(shots: Sequence[Shot]) -> list[Problem]:
    problems = []
    # A freeze or slow motion is meant to show a frame again.
    for a, b in _meeting([shot for shot in shots if shot.count and shot.speed == 1]):
        first, last = max(a.first, b.first), min(a.last, b.last)
        sentence = f"the frames {first} to {last} of '{b.name}' are in '{a.name}' too{_at(a)}"
        problems.append(Problem(b.line, f"{sentence} (--overlaps allows it)"))
    return problems


def _meeting(shots: Sequence[Shot]) -> Iterator[tuple[Shot, Shot]]:
    """Pairs of shots that share frames, by line: each shot with the one before it that reaches furthest."""
    furthest: Shot | None = None
    for shot in sorted(shots, key=lambda shot: (shot.first, shot.last)):
        if furthest is not None and shot.first <= furthest.last:
            a, b = sorted((shot, furthest), key=lambda s: s.line)
            yield a, b
        if furthest is None or shot.last > furthest.last:
            furthest = shot


def _collisions(shots: Sequence[Shot], default_output: str) -> list[Problem]:
    """Shots that would write the same files: their patterns differ by nothing but the frame, and their frames meet."""
    alike: dict[str, list[Shot]] = {}
    for shot in shots:
        pattern = shot.output or default_output
        if shot.count and not pattern_problem(pattern) and not name_problem(shot.name):
            alike.setdefault(name_key(frame_path(pattern, shot, 0)), []).append(shot)
    problems = []
    for group in alike.values():
        for a, b in _meeting(group):
            if name_key(a.name) != name_key(b.name):
                sentence = f"'{b.name}' would overwrite pictures of '{a.name}'{_at(a)}: use {{shot}}"
                problems.append(Problem(b.line, sentence))
    return problems


def check_views(shots: Sequence[Shot], views: Sequence[SceneView], default_output: str) -> list[Problem]:
    """What suffixes of a scene's views make of names that are good without them."""
    problems = []
    for shot in shots:
        pattern = shot.output or default_output
        for suffix in (view.suffix for view in views if view.suffix):
            sentence = name_problem(shot.name + suffix)
            for frame in (shot.first, shot.last):
                sentence = sentence or path_problem(frame_path(pattern, shot, frame, suffix), SUFFIXES)
            if sentence:
                problems.append(Problem(shot.line, sentence))
    # Only where one ends the other can two names be the same with them.
    for a, b in permutations(views, 2):
        if name_key(a.suffix).endswith(name_key(b.suffix)):
            said = f"the view {a.name!r} ends names of files in {a.suffix!r}, the view {b.name!r} in {b.suffix!r}"
            return [*problems, Problem(0, f"{said}: give them suffixes of which none ends another")]
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
