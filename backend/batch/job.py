"""A job: the folder with everything that a run leaves for the next one, beside the pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from backend.batch.checksums import head_model_checksum, preset_checksum, software_version
from backend.batch.patterns import RESERVED
from backend.batch.plan import Plan, is_there
from backend.batch.records import OutputRecord, compact_records, read_records
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import remove_parts, storage_error, write_file
from backend.protocol.job_lock import JobLock

MANIFEST = "manifest.json"
PARTS, POSES, RECORDS, THUMBNAILS = "parts", "poses", "records", "thumbnails"
"""Folders below the job's; in `PARTS` lie files that are not whole yet, with names that no output can have."""


class Job:
    """An output folder and its job: manifest, records, lock, thumbnails, poses.

    Attributes:
        output: where pictures and movies go.
        folder: where the job keeps itself.
        parts: where files lie until they are whole.
    """

    def __init__(self, output: Path) -> None:
        self.output = output.absolute()
        self.folder = self.output / RESERVED
        self.parts = self.folder / PARTS
        self.lock = JobLock(self.folder / "lock.json")

    def prepare(self) -> None:
        """Make the folders and see that they can be written.

        Raises:
            TurboPortraitError: disk_full, read_only, cannot_write.
        """
        own = [self.folder, self.parts, *(self.folder / name for name in (RECORDS, THUMBNAILS, POSES))]
        try:
            for folder in own:
                folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.output, *own):
                tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise storage_error(error, error.filename or self.output) from error
        # The job removes what is its own: a link would lead to what is somebody else's.
        if link := next((folder for folder in own if folder.is_symlink()), None):
            raise TurboPortraitError("cannot_write", f"{link} is a link, and no folder of the job's own")

    def records(self) -> dict[str, OutputRecord]:
        """The record of what each file holds, by its identity: the last one that says that it was written."""
        last = {record.path: record for record in read_records(self.folder / RECORDS) if not record.code}
        return {record.identity: record for record in last.values()}

    def tidy(self, records: Iterable[OutputRecord]) -> int:
        """Remove what a killed run left half written, and records of files that are gone; the number of parts."""
        compact_records(self.folder / RECORDS, [record for record in records if is_there(record, self.output)])
        return sum(map(remove_parts, (self.parts, self.folder / POSES, self.folder)))

    def write_manifest(self, plan: Plan, shot_list: str, blend: str) -> None:
        """Say what this job is, for people; raises as `atomic_file`."""
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
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        write_file(self.folder / MANIFEST, text, self.parts)
