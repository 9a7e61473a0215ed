"""`turboportrait evaluate regions` on a drawn corpus."""

import json

from typer.testing import CliRunner

from backend.commands.evaluate import app
from backend.protocol.errors import TurboPortraitError
from tests.training.drawn_people import write_corpus


def test_figures_of_held_out_people_are_printed_and_written(tmp_path):
    write_corpus(tmp_path / "corpus")
    output = tmp_path / "figures.json"
    result = CliRunner().invoke(app, ["regions", str(tmp_path / "corpus"), "--output", str(output)])
    assert result.exit_code == 0, result.output
    people = json.loads(output.read_text())["people"]
    assert people["pictures"] == 1
    assert 0 <= people["IoU skin"] <= 1
    assert people["alpha SAD in the unknown band, thousands"] >= 0
    assert "IoU skin" in result.output


def test_a_corpus_without_held_out_people_is_named(tmp_path):
    write_corpus(tmp_path / "corpus", people=3)
    result = CliRunner().invoke(app, ["regions", str(tmp_path / "corpus")])
    assert isinstance(result.exception, TurboPortraitError)
    assert "held-out" in str(result.exception)
