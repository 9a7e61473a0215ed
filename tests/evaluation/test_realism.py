"""Made people beside photos: the blind test's sheets, its count, and dlib's figures."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from backend.commands.evaluate import app
from backend.evaluation.portraits import real_portraits
from backend.evaluation.realism import COLUMNS, LABEL, TILE, blind_heads, measure_faces, write_blind_test


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    paths = [tmp_path / f"{name}.png" for name in ("astronaut", "hopper", "nobody")]
    for path, photo in zip(paths, real_portraits().values(), strict=False):
        path.write_bytes(photo)
    Image.new("RGB", (300, 300), (90, 120, 160)).save(paths[-1])
    return paths


def test_photos_are_cut_out_on_grey_and_those_without_a_face_are_passed_over(photos):
    heads = blind_heads([], photos, 3, seed=1)
    assert sorted(name for _, name, _ in heads) == ["astronaut", "hopper"]
    for kind, _, tile in heads:
        assert (kind, tile.shape) == ("given", (TILE, TILE, 3))
        # Beside the head all is one grey; in the middle is a face.
        assert np.ptp(tile[:10, :10].astype(int)) <= 2
        assert tile[50:80, 50:80].std() > 5
    assert [head[1] for head in heads] == [head[1] for head in blind_heads([], photos, 3, seed=1)]


def test_sheets_are_numbered_and_answers_are_counted_by_the_key(tmp_path):
    tiles = [np.full((TILE, TILE, 3), k, np.uint8) for k in range(70)]
    heads = [("made" if k % 2 else "given", f"head {k}", tile) for k, tile in enumerate(tiles)]
    first, second = write_blind_test(heads, tmp_path)
    last = np.asarray(Image.open(second))
    # Numbers 65 to 70 stand in the second sheet's one row; the key lies apart from what the viewer gets.
    assert last.shape == (TILE + LABEL, COLUMNS * (TILE + 4), 3)
    assert (last[:TILE, 5 * (TILE + 4) : 5 * (TILE + 4) + TILE] == 69).all()
    assert first.parent != tmp_path
    assert json.loads((tmp_path / "key.json").read_text())["70"] == {"kind": "made", "name": "head 69"}
    answers = tmp_path / "answers.txt"
    answers.write_text("1 given\n2 given\n\n4 made\n6 made\n")
    command = ["people", str(tmp_path), "--output", str(tmp_path), "--answers", str(answers)]
    said = CliRunner().invoke(app, command).output
    assert "3 of 4 sorted rightly: 75 %" in said
    assert "made: 2 of 3" in said
    answers.write_text("1 real\n")
    assert "does not say made or given" in str(CliRunner().invoke(app, command).exception)


@pytest.mark.slow
def test_dlib_finds_faces_and_tells_people_apart(photos):
    pytest.importorskip("dlib")
    found = measure_faces(photos)
    assert (found.portraits, found.faceless) == (3, [photos[-1]])
    assert found.spread > 0.6
