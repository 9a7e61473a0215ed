"""From what the user gives (a shot list, a .blend, an output folder) to a plan, or all that is wrong with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import msgspec

from backend.batch.checks import check_scene, check_shots, check_views
from backend.batch.checksums import software_version
from backend.batch.evaluate import evaluate
from backend.batch.job import POSES, Job
from backend.batch.patterns import pattern_problem
from backend.batch.plan import BatchSettings, Plan, make_plan
from backend.batch.problems import BatchRefused, Problem
from backend.batch.shot_list import ShotList
from backend.batch.shot_lists import read_shot_list
from backend.photos import decode_photo, read_photo
from backend.protocol.errors import TurboPortraitError
from backend.protocol.pose_file import PoseFile
from backend.protocol.shots import RAW, Shot

POSE_FIELDS = ("name", "first", "last", "speed", "camera", "avatar", "width", "height")
"""What of a shot its poses depend on."""
EvaluationProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """What a run is asked for.

    Attributes:
        shots: the shot list's file; None for the .blend's markers.
        blend: None where `poses` is given.
        poses: a pose file made before.
        rate: frames per second of a list that doesn't say them.
        only: names of shots; empty for all.
        blender: command of a Blender.
        scene: of the .blend; empty for the one that it was saved in.
    """

    output: Path
    shots: Path | None = None
    blend: Path | None = None
    poses: Path | None = None
    settings: BatchSettings = field(default_factory=BatchSettings)
    rate: Fraction | None = None
    scene: str = ""
    only: tuple[str, ...] = ()
    overlaps: bool = False
    blender: str = ""

    @property
    def file(self) -> str:
        """What problems are named after."""
        return str(self.shots or self.blend or self.poses)


def prepare(
    request: Request,
    progress: EvaluationProgress = lambda frame, frames: None,
    note: Callable[[str], None] = lambda sentence: None,
) -> tuple[Plan, Job]:
    """Check everything, evaluate the .blend if its poses are not there yet, and plan. The job's lock is not taken.

    Args:
        progress: called with frames that are evaluated, and frames in all.
        note: called with sentences on what is left out, or shown otherwise than one might expect.

    Raises:
        BatchRefused: with all problems that were found.
        TurboPortraitError: no_blender, bad_pose_file; disk_full, read_only or cannot_write, where that is all.
    """
    poses = PoseFile.load(request.poses) if request.poses is not None else None
    if request.shots is not None:
        found = read_shot_list(request.shots, request.rate)
    else:
        found = ShotList(list(poses.header.shots) if poses is not None else [])
    for each in found.notes:
        note(each.text(request.file))
    problems = [*found.problems, *_check_settings(request.settings)]
    job, unwritable = Job(request.output), None
    try:
        job.prepare()
    except TurboPortraitError as error:
        unwritable = error
        problems.append(Problem(0, error.sentence))
    if request.shots is not None or poses is not None:
        problems += _check_list(request, found.shots)
    extra = _photos(found.shots, problems)
    if poses is not None:
        poses = _chosen(poses, found.shots, request.only, problems)
        _check_header(request, poses, found, found.shots, problems)
    else:
        poses = _evaluated_poses(request, found, problems, job, progress)
    if unwritable and len(problems) == 1:
        raise unwritable
    if problems or poses is None:
        raise BatchRefused(request.file, problems)
    for sentence in poses.header.notes:
        note(sentence)
    named = {shot.name: extra[shot.portrait][0] for shot in poses.header.shots if shot.portrait}
    return make_plan(poses, request.settings, named, dict(extra.values())), job


def _check_settings(settings: BatchSettings) -> list[Problem]:
    problems = []
    if sentence := pattern_problem(settings.output):
        problems.append(Problem(0, sentence))
    if not 0 <= settings.noise_level <= 1:
        problems.append(Problem(0, f"the noise level is {settings.noise_level:g}; 0 to 1 are possible"))
    if settings.quality != RAW and settings.quality not in ready_presets([settings.quality]):
        problems.append(Problem(0, f"the quality '{settings.quality}' is not ready here; see `turboportrait models`"))
    return problems


def _check_list(request: Request, shots: Sequence[Shot]) -> list[Problem]:
    presets = ready_presets([shot.quality for shot in shots if shot.quality])
    problems = check_shots(shots, presets, request.settings.output, request.overlaps)
    names = {shot.name for shot in shots}
    return problems + [Problem(0, f"there is no shot '{name}' to choose") for name in request.only if name not in names]


def ready_presets(names: Sequence[str]) -> set[str]:
    """Those of the names that are refiner presets whose weights are at hand."""
    from backend.pipeline.catalog import Catalog

    catalog = Catalog.default()
    return {name for name in set(names) if name in catalog.presets and catalog.preset_ready(name)}


def _photos(shots: Sequence[Shot], problems: list[Problem]) -> dict[str, tuple[str, bytes]]:
    """Path -> SHA-256 and bytes of the portraits that shots name."""
    read: dict[str, tuple[str, bytes]] = {}
    for shot in shots:
        if not shot.portrait or shot.portrait in read:
            continue
        try:
            data = read_photo(Path(shot.portrait))
            decode_photo(data)
        except TurboPortraitError as error:
            why = f"{error.sentence} {error.hint}"
            problems.append(Problem(shot.line, f"the portrait '{shot.portrait}' cannot be used: {why}"[:300]))
            continue
        read[shot.portrait] = (hashlib.sha256(data).hexdigest(), data)
    return read


def _evaluated_poses(
    request: Request, found: ShotList, problems: list[Problem], job: Job, progress: EvaluationProgress
) -> PoseFile | None:
    """The poses of the list's shots; problems between list and .blend are added, also where the list is bad already."""
    if request.blend is None or not request.blend.is_file():
        problems.append(Problem(0, f"there is no .blend '{request.blend}'" if request.blend else "give --blend FILE"))
        return None
    shots = _only(found.shots, request.only)
    if problems:
        # Still say what the .blend has to say.
        seen = evaluate(request.blend, [], None, request.blender, request.scene)
        problems += check_scene(
            found.shots, (found.rate, found.rate_line), Fraction(*seen["fps"]), seen["cameras"], seen["heads"]
        )
        return None
    if request.shots is None:
        seen = evaluate(request.blend, None, None, request.blender, request.scene)
        shots = [msgspec.convert(shot, Shot) for shot in seen["shots"]]
        if not shots:
            problems.append(Problem(0, "the scene has no camera: bind timeline markers to cameras"))
        problems += _check_list(request, shots)
        shots = _only(shots, request.only)
        if problems:
            return None
    poses = _evaluated(request.blend, request, shots, job, progress)
    _check_header(request, poses, found, shots, problems)
    return poses


def _only(shots: Sequence[Shot], names: Sequence[str]) -> list[Shot]:
    return [shot for shot in shots if not names or shot.name in names]


def _evaluated(
    blend: Path, request: Request, shots: Sequence[Shot], job: Job, progress: EvaluationProgress
) -> PoseFile:
    """The poses, from an earlier run where neither the .blend nor the shots have changed since."""
    wanted = [[getattr(shot, name) for name in POSE_FIELDS] for shot in shots]
    with blend.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = hashlib.sha256(json.dumps([digest, request.scene, software_version(), wanted]).encode()).hexdigest()[:24]
    path = job.folder / POSES / f"{name}.npz"
    try:
        poses = PoseFile.load(path)
    except TurboPortraitError:
        evaluate(blend, shots, path, request.blender, request.scene, progress)
        poses = PoseFile.load(path)
    sized = [
        msgspec.structs.replace(shot, width=known.width, height=known.height)
        for shot, known in zip(shots, poses.header.shots, strict=True)
    ]
    return replace(poses, header=msgspec.structs.replace(poses.header, shots=tuple(sized)))


def _check_header(
    request: Request, poses: PoseFile, found: ShotList, shots: Sequence[Shot], problems: list[Problem]
) -> None:
    header = poses.header
    heads = [head.name for head in header.heads]
    problems += check_scene(shots, (found.rate, found.rate_line), Fraction(*header.fps), header.cameras, heads)
    problems += check_views(shots, header.views, request.settings.output)
    lines = {shot.name: shot.line for shot in shots}
    problems += [Problem(lines.get(name, 0), f"the shot '{name}': {what}") for name, what in header.problems]
    from backend.pipeline.catalog import Catalog

    catalog = Catalog.default()
    for head in header.heads:
        if head.maker not in catalog.makers:
            problems.append(Problem(0, f"the head '{head.name}' needs the avatar maker '{head.maker}'"))
        if head.head_model not in catalog.head_models:
            problems.append(Problem(0, f"the head '{head.name}' needs the head model '{head.head_model}'"))


def _pictures(shot: Shot) -> tuple[int, int, float]:
    return shot.first, shot.last, shot.speed


def _chosen(poses: PoseFile, shots: Sequence[Shot], only: Sequence[str], problems: list[Problem]) -> PoseFile:
    """A pose file's rows for the list's shots, which must be among its own."""
    known = {shot.name: index for index, shot in enumerate(poses.header.shots)}
    header, kept, rows = poses.header, [], []
    for shot in _only(shots, only):
        index = known.get(shot.name)
        if index is None or _pictures(header.shots[index]) != _pictures(shot):
            problems.append(Problem(shot.line, f"the pose file has no frames for the shot '{shot.name}' as it is"))
            continue
        there = header.shots[index]
        if shot.camera != there.camera or shot.avatar != there.avatar:
            problems.append(Problem(shot.line, f"the pose file has another camera or head for the shot '{shot.name}'"))
        kept.append(msgspec.structs.replace(shot, width=there.width, height=there.height))
        rows.append((poses.columns["shot"] == index).nonzero()[0])
    columns = {name: column[[row for part in rows for row in part]] for name, column in poses.columns.items()}
    for index, part in enumerate(rows):
        start = sum(map(len, rows[:index]))
        columns["shot"][start : start + len(part)] = index
    return replace(poses, header=msgspec.structs.replace(header, shots=tuple(kept)), columns=columns)
