"""Sheets of portraits: a real portrait through the real pipeline, and photos that show nobody."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from backend.commands.evaluate import app as evaluate
from backend.evaluation.portraits import real_portraits

SIZE = 96


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    portraits, output = tmp_path_factory.mktemp("portraits"), tmp_path_factory.mktemp("sheets")
    (portraits / "women").mkdir()
    (portraits / "women" / "a b.png").write_bytes(real_portraits()["astronaut"])
    Image.new("RGB", (300, 300), "teal").save(portraits / "nobody.png")
    arguments = ["--portraits", portraits, "--output", output, "--yaws", "-20,20", "--size", SIZE, "--preset", ""]
    result = CliRunner().invoke(evaluate, ["sheets", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return portraits, output, result.output


def test_pictures_lie_by_kind_yaw_and_name(made):
    _, output, _ = made
    pictures = [output / "raw" / yaw / "women_a b.png" for yaw in ("-20", "+20")]
    left, right = (np.asarray(Image.open(path), float) for path in pictures)
    assert left.shape == (SIZE, SIZE, 3)
    assert np.abs(left - right).mean() > 5


def test_the_page_shows_sheets_and_names_those_without(made):
    _, output, said = made
    page = (output / "index.html").read_text()
    assert 'src="sheets/women_a%20b.jpg"' in page
    assert "nobody" in page
    assert "1 portraits have sheets, 1 have none" in said.replace("\n", " ")
    with Image.open(output / "sheets" / "women_a b.jpg") as sheet:
        assert sheet.size == (3 * SIZE, SIZE)


def test_a_second_run_keeps_what_is_there(made):
    portraits, output, _ = made
    sheet = output / "sheets" / "women_a b.jpg"
    before = sheet.stat().st_mtime_ns
    arguments = ["--portraits", portraits, "--output", output, "--yaws", "-20,20", "--size", SIZE, "--preset", ""]
    assert CliRunner().invoke(evaluate, ["sheets", *map(str, arguments)]).exit_code == 0
    assert sheet.stat().st_mtime_ns == before


@pytest.mark.parametrize("yaws", ["", "left", "10;20"])
def test_yaws_that_are_none_are_named(tmp_path, yaws):
    arguments = ["sheets", "--portraits", str(tmp_path), "--output", str(tmp_path), "--yaws", yaws]
    result = CliRunner().invoke(evaluate, arguments)
    assert result.exit_code == 2
    assert "--yaws" in result.output
