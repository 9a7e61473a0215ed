"""A job: the folder with everything that a run leaves for the next one, beside the pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from backend.batch.atomic import remove_parts, write_whole
from backend.batch.checksums import head_model_checksum, preset_checksum, software_version
from backend.batch.lock import JobLock
from backend.batch.patterns import RESERVED
from backend.batch.plan import Plan
from backend.batch.records import Record, compact_records, read_records
from backend.protocol.errors import TurboPortraitError

MANIFEST = "manifest.json"


class Job:
    """An output folder and its job: manifest, records, lock, thumbnails, poses.

    Attributes:
        output: where pictures and movies go.
        folder: where the job keeps itself.
    """

    def __init__(self, output: Path) -> None:
        self.output = output.absolute()
        self.folder = self.output / RESERVED
        self.lock = JobLock(self.folder / "lock.json")

    def prepare(self) -> None:
        """Make the folders and see that they can be written.

        Raises:
            TurboPortraitError: cannot_write.
        """
        try:
            (self.folder / "thumbnails").mkdir(parents=True, exist_ok=True)
            for folder in (self.output, self.folder):
                probe = folder / f".probe.{os.getpid()}"
                probe.write_bytes(b"")
                probe.unlink()
        except OSError as error:
            raise TurboPortraitError("cannot_write", f"{error.filename}: {error.strerror}") from error

    def records(self) -> dict[str, Record]:
        """The last record of each frame and movie, by its identity."""
        return {record.identity: record for record in read_records(self.folder / "records")}

    def tidy(self, plan: Plan, kept: Iterable[Record]) -> int:
        """Remove what a killed run left half written, and records of what is wanted no more; the number of parts."""
        compact_records(self.folder / "records", list(kept))
        folders = {(self.output / plan.path(number)).parent for number in map(int, plan.starts[:-1])}
        return remove_parts(folders | {self.output, self.folder, self.folder / "thumbnails"})

    def write_manifest(self, plan: Plan, shot_list: str, blend: str) -> None:
        """Say what this job is, for people and for the contact sheet."""
        header = plan.poses.header
        qualities = sorted({plan.quality(shot) for shot in plan.shots})
        manifest = {
            "format": "turboportrait job",
            "software": software_version(),
            "shot_list": shot_list,
            "blend": blend,
            "blend_sha256": header.blend_sha256,
            "fps": list(header.fps),
            "settings": msgspec.to_builtins(plan.settings),
            "refiners": {name: preset_checksum(name) for name in qualities if preset_checksum(name)},
            "head_models": {head.head_model: head_model_checksum(head.head_model) for head in header.heads},
            "heads": [msgspec.to_builtins(head) for head in header.heads],
            "shots": [msgspec.to_builtins(shot) for shot in plan.shots],
            "frames": len(plan),
        }
        write_whole(self.folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
