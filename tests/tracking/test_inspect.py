"""`turboportrait inspect` on a real portrait."""

import io

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from backend.commands.app import app
from backend.evaluation.portraits import real_portraits
from backend.tracking.parser import CLASSES


@pytest.fixture(scope="module")
def inspected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspected")
    photo = Image.open(io.BytesIO(real_portraits()["astronaut"]))
    photo.crop((60, 0, 400, 300)).save(folder / "astronaut.png")
    arguments = [folder / "astronaut.png", "--output", folder / "picture.png", "--regions", folder / "regions.png"]
    result = CliRunner().invoke(app, ["inspect", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return folder, result.output


def test_the_picture_shows_photo_landmarks_regions_and_matte(inspected):
    folder, said = inspected
    with Image.open(folder / "picture.png") as picture:
        assert picture.size == (2048, 512)
    assert "340 x 300 pixels" in said
    assert all(name in said for name in CLASSES)


def test_the_regions_file_is_as_large_as_the_photo_and_finds_the_face(inspected):
    folder, _ = inspected
    regions = np.asarray(Image.open(folder / "regions.png"))
    assert regions.shape == (300, 340)
    assert regions.max() < len(CLASSES)
    # Between the eyes, and in the photo's empty corner.
    assert CLASSES[regions[110, 165]] == "skin"
    assert CLASSES[regions[5, 5]] == "background"


def test_a_photo_without_a_face_is_said(tmp_path):
    Image.new("RGB", (200, 200), "teal").save(tmp_path / "nobody.png")
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "nobody.png")])
    assert result.exit_code != 0
    assert result.exception.code == "no_face"
