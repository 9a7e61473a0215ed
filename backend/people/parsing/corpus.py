"""The parser's corpus: pictures of synthetic people and of portraits, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backend.people.parsing.pictures import write_picture
from backend.people.parsing.portraits import HairTeacher, Notes, label_portrait
from backend.people.parsing.synthetic import label_person
from backend.people.synthesis.files import people
from backend.photos import decode_photo, find_photos, read_photo
from backend.protocol.errors import TurboPortraitError
from backend.tracking.faces import find_face

Report = Callable[[str, str | None], None]
"""Told a name, and what was wrong with it or None."""


def write_people(folder: Path, output: Path, report: Report) -> None:
    """Write the pictures of all people of a folder; those that are there are kept."""
    for person in people(folder):
        name = person.name.removeprefix("person_")
        if not any(output.glob(f"{name}_*.npz")):
            try:
                for picture in label_person(person):
                    write_picture(output, picture)
            except TurboPortraitError as error:
                report(name, str(error))
                continue
        report(name, None)


def write_portraits(folder: Path, teacher: Path, notes: dict[str, Notes], output: Path, report: Report) -> None:
    """Write the pictures of all photos below a folder; those that are there are kept."""
    label_hair = HairTeacher(teacher)
    for name, path in find_photos(folder).items():
        if not (output / f"{name}.npz").is_file():
            try:
                face = find_face(decode_photo(read_photo(path)).rgb)
            except TurboPortraitError as error:
                report(name, str(error))
                continue
            write_picture(
                output, label_portrait(name, face.photo, face.landmarks, label_hair, notes.get(name, Notes()))
            )
        report(name, None)
