"""One person, rendered once by the command and a real Blender, for all tests that look at what it wrote."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from synthesized import synthesize

from backend.people.synthesis.files import people, read_person
from backend.tracking.embedding import with_landmarks
from flame import load_head_model


@pytest.fixture(scope="session")
def model():
    return with_landmarks(load_head_model())


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    pytest.importorskip("bpy")
    folder = tmp_path_factory.mktemp("corpus")
    killed = folder / ".person_000011.part"
    killed.mkdir()
    done = synthesize(folder, "--sheet", folder / "sheet.png")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "s each" in done.stdout
    assert (folder / "sheet.png").is_file()
    assert not killed.exists()
    return folder


@pytest.fixture(scope="session")
def person(corpus):
    (path,) = people(corpus)
    return read_person(path)
