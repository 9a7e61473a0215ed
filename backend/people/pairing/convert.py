"""A folder of people to a folder of training shards: several processes, resumable, what is left out named."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from backend.people import shards
from backend.people.captures.loading import Skipped
from backend.people.pairing.options import PairOptions
from backend.people.pairing.reference import Rejected
from backend.people.shards import one_thread
from backend.people.synthesis.driver import write_summary
from backend.people.synthesis.files import people, read_person
from backend.people.synthesis.processes import Interrupted, spread
from backend.protocol.errors import TurboPortraitError, storage_code
from backend.protocol.files import remove_parts, storage_error


@dataclass
class PairingSummary:
    """What a run did; `data convert` prints it.

    Attributes:
        people: that lie in the folder, `held_out` among them. there: shards that were there before. written: this
            run's. skipped: people without a shard, and why. interrupted: by what it was ended before it was done.
    """

    people: int = 0
    held_out: int = 0
    there: int = 0
    written: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    interrupted: str = ""


def write_people_shards(
    folder: Path,
    output: Path,
    options: PairOptions,
    workers: int,
    most: int | None = None,
    report: Callable[[Path, str, int], None] = lambda person, error, left: None,
) -> PairingSummary:
    """Make the shards that are not there yet; write summary.json beside them, however it ends.

    A shard's number is the person's, so that the split by identity is that of all other shards. People that were
    turned away once are not tried again: the same portrait gives the same answer.

    Args:
        folder: of `data synthesize`. most: only the first so many people.
        report: called after each person with its folder, the reason if it was left out, and how many are left.

    Raises:
        TurboPortraitError: `bad_corpus`: the output has shards of another making; `disk_full`,
            `read_only`, `cannot_write`.
        Interrupted: a signal ended it.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, output) from error
    remove_parts(output)
    found = people(folder)[:most]
    turned_away = dict(shards.rejections(output))
    there = {shards.seed_of(path): path for path in shards.shards(output)}
    summary = PairingSummary(len(found), sum(shards.is_held_out(_number(path)) for path in found))
    waiting = []
    for path in found:
        if (number := _number(path)) in there:
            _check_making(there[number], options)
            summary.there += 1
        elif number in turned_away:
            summary.skipped.append(Skipped(path.name, turned_away[number]))
        else:
            waiting.append(path)
    left = len(waiting)
    try:
        make = partial(_write_shard, output=output, options=options)
        with closing(spread(waiting, make, workers, one_thread)) as done:
            for path, future in done:
                answer = future.result()
                if answer.disk_full:
                    hint = "Make room and run the same command again."
                    raise TurboPortraitError("disk_full", answer.error, hint=hint)
                if answer.rejected:
                    shards.reject(output, _number(path), answer.error)
                if answer.error:
                    summary.skipped.append(Skipped(path.name, answer.error))
                else:
                    summary.written += 1
                left -= 1
                report(path, answer.error, left)
    except BrokenProcessPool as error:
        raise TurboPortraitError("internal", "a worker has died; run the same command again to go on") from error
    except Interrupted as interruption:
        summary.interrupted = str(interruption)
        raise
    finally:
        write_summary(output, asdict(summary))
    return summary


def _number(person: Path) -> int:
    return int(person.name.removeprefix("person_"))


def _check_making(shard: Path, options: PairOptions) -> None:
    try:
        with np.load(shard, allow_pickle=False) as stored:
            ours, found = "moment" in stored.files, stored["reference"].shape[0]
            ours &= options.aligned == bool(stored["aligned"] if "aligned" in stored.files else True)
            ours &= options.baked == str(stored["baked"] if "baked" in stored.files else "")
            ours &= options.true_head == bool(stored["true_head"] if "true_head" in stored.files else False)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TurboPortraitError("bad_corpus", f"{shard}: {error}; remove it to have it made again") from error
    if not ours or found != options.size:
        raise TurboPortraitError(
            "bad_corpus", f"{shard} is of another making or size; give another folder for these shards"
        )


@dataclass(frozen=True)
class _Answer:
    """What became of a person.

    Attributes:
        error: why there is no shard, or empty. rejected: whether that will be so again. disk_full: whether that is why.
    """

    error: str = ""
    rejected: bool = False
    disk_full: bool = False


def _write_shard(person: Path, output: Path, options: PairOptions) -> _Answer:
    from backend.people.pairing.pairs import make_person_pairs
    from backend.tracking.embedding import with_landmarks
    from flame import load_head_model

    try:
        identity, more = make_person_pairs(read_person(person), with_landmarks(load_head_model()), options)
        shards.write_identity(output, identity, **more)
    except Rejected as reason:
        return _Answer(str(reason), rejected=True)
    except (OSError, TurboPortraitError) as error:
        return _Answer(f"{person.name}: {error}", disk_full=storage_code(error) == "disk_full")
    except Exception as error:
        return _Answer(f"{type(error).__name__}: {error}")
    return _Answer()
