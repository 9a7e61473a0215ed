"""What was asked is compared with what was measured, and documents show a report's own figures."""

import copy
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from backend.commands.evaluate import app
from backend.evaluation import documents
from backend.evaluation.regions import REGIONS, UNIONS
from backend.evaluation.tables_report import tables_of
from backend.evaluation.targets import targets_of
from backend.protocol.errors import TurboPortraitError

METHODS = {
    "raw": {"L2": 0.004, "PSNR": 24.0, "SSIM": 0.70, "FLIP": 0.20, "ID": 0.990},
    "blur 1.5": {"L2": 0.004, "PSNR": 24.5, "SSIM": 0.72, "FLIP": 0.21, "ID": 0.980},
    "blur 3": {"L2": 0.004, "PSNR": 24.4, "SSIM": 0.73, "FLIP": 0.22, "ID": 0.950},
    "refined": {"L2": 0.003, "PSNR": 25.6, "SSIM": 0.75, "FLIP": 0.16, "ID": 0.993},
    "refined without the reference": {"L2": 0.003, "PSNR": 25.1, "SSIM": 0.74, "FLIP": 0.17, "ID": 0.991},
}


@pytest.fixture
def report() -> dict:
    """Everything reached but the identity."""
    return {
        "preset": "compact", "identities": 2, "views": 10, "machine": "a machine", "took": 60.0, "weights MB": 29.8,
        "table1": {region: copy.deepcopy(METHODS) for region in (*UNIONS, *REGIONS)},
        "by person": {"raw": {"inside": {"PSNR": {"mean": 1.6, "error": 0.25, "better": 9, "people": 10},
                                         "FLIP": {"mean": 0.0412, "error": 0.0021, "better": 10, "people": 10}}},
                      "refined without the reference": {
                          "doubtful": {"PSNR": {"mean": 0.31, "error": 0.1, "better": 8, "people": 10}}}},
        "first pairs": {"views": 0}, "table2 views": 4, "seconds": {"refine": 0.2, "render": 0.05, "register": 1.0},
        "table2": {f"0.{k}": {"L2": 0.003, "PSNR": 25.6 - 0.03 * k} for k in range(6)},
        "views together": {"1": METHODS["refined"]}, "recogniser": "dlib", "ID of strangers": 0.94,
        "portraits": {"hopper": {
            "frontal": {"inside": {"raw": {"PSNR": 40.0}, "refined": {"PSNR": 39.8}}},
            "likeness": {"-35": {"raw": 0.97, "refined": 0.98}, "0": {"raw": 0.99, "refined": 0.90}},
        }},
        "orbit frames": 48, "flicker": {"hopper": {"raw": 1.0, "refined": 1.1, "ratio": 1.1, "pairs": 47}},
        "not available": {"LPIPS": "a file"},
    }  # fmt: skip


def reached(report: dict) -> dict[str, bool | None]:
    return {target.what: target.reached for target in targets_of(report)}


def test_targets_are_reached_by_what_was_measured(report):
    found = reached(report)
    assert [what for what, yes in found.items() if not yes] == ["ID over raw, inside both outlines"]
    assert "+0.003 of +0.010 possible" in [target.measured for target in targets_of(report)]
    # 0.003 of the 0.06 between strangers and oneself.
    scaled = next(t for t in targets_of(report) if t.what.startswith("the same ID"))
    assert scaled.measured == "+0.050"


@pytest.mark.parametrize(
    ("path", "value", "missed"),
    [
        (("table1", "inside", "refined", "PSNR"), 25.49, "PSNR over raw, inside both outlines"),
        (("table1", "inside", "refined", "FLIP"), 0.172, "FLIP against raw, inside both outlines"),
        (("table1", "doubtful", "blur 3", "SSIM"), 0.75, "SSIM beyond the best of raw and both blurs, where the photo"),
        (("table1", "doubtful", "blur 1.5", "FLIP"), 0.15, "FLIP beyond the best of raw and both blurs, where the"),
        (("table1", "confident", "refined", "PSNR"), 23.99, "PSNR no worse than raw, where the photo is sure"),
        (("table1", "doubtful", "refined without the reference", "PSNR"), 25.31, "PSNR lost without the portrait"),
        (
            ("by person", "refined without the reference", "doubtful", "PSNR", "mean"),
            0.29,
            "the same person by person",
        ),
        (("table2", "0.5", "PSNR"), 25.3, "PSNR's spread over noise levels"),
        (
            ("portraits", "hopper", "frontal", "inside", "refined", "PSNR"),
            39.6,
            "hopper: PSNR of its own view over raw",
        ),
        (("portraits", "hopper", "likeness", "-35", "refined"), 0.969, "hopper: ID with the portrait"),
        (("flicker", "hopper", "ratio"), 1.16, "flicker of an orbit of 48 frames"),
        (("weights MB",), 40.1, "weights"),
        (("seconds", "refine"), 0.351, "two views refined"),
    ],
)
def test_a_target_is_missed_by_a_little(report, path, value, missed):
    before = reached(report)
    place = report
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    changed = {what for what, yes in reached(report).items() if yes != before[what]}
    assert [what[: len(missed)] for what in changed] == [missed]


def test_what_was_not_measured_is_neither_reached_nor_missed(report):
    for part in ("portraits", "flicker", "weights MB"):
        del report[part]
    report["table1"]["inside"]["refined"].pop("ID")
    found = reached(report)
    assert found["weights"] is None
    assert found["ID over raw, inside both outlines"] is None


def test_a_document_gets_the_figures_and_keeps_its_sentences(tmp_path, report):
    page = tmp_path / "page.md"
    page.write_text(
        "Before.\n\n<!-- table: table1-inside -->\nold\n<!-- end -->\n\nBetween.\n\n"
        "<!-- notes -->\n<!-- end -->\n<!-- table: figure6 -->\n<!-- end -->\n"
        "<!-- setup -->\n<!-- end -->\n\n![A face](pictures/hopper.jpg) ![Another](pictures/other.jpg)\n"
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "tables.json").write_text(json.dumps(report))
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(tmp_path / "run" / "hopper.png")
    for _ in range(2):  # Again changes nothing.
        result = CliRunner().invoke(app, ["document", str(tmp_path / "run" / "tables.json"), str(page)])
        assert result.exit_code == 0, result.output
        text = page.read_text()
        assert "| refined | 0.0030 | - | 25.60 | 0.750 | 0.160 | 0.993 |" in text
        assert "| paper: TurboPortrait3D | 0.0130 | 0.213 | 23.14 | 0.698 | - | 0.949 | 30.3 | 3 | 0.12 |" in text
        assert text.index("Before.") < text.index("| refined") < text.index("Between.") < text.index("LPIPS is not")
        assert text.count("Between.") == text.count("| refined | 0.0030") == text.count("Not measured.") == 1
        assert "2 held-out people" in text
        assert "old" not in text
    assert Image.open(tmp_path / "pictures" / "hopper.jpg").size == (8, 8)
    assert not (tmp_path / "pictures" / "other.jpg").exists()
    assert "targets" in result.output


def test_columns_and_tables_without_values_are_left_out(report):
    tables = {table.key: table for table in tables_of(report)}
    assert "FID" in tables["table1-inside"].heads
    assert "FID" not in tables["table1-all"].heads
    assert "LPIPS" not in tables["views"].heads
    assert "figure6" not in tables
    assert len({len(row) for row in tables["table1-inside"].rows} | {len(tables["table1-inside"].heads)}) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"views": 3}', None])
def test_a_report_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "tables.json"
    if content is not None:
        path.write_text(content)
    result = CliRunner().invoke(app, ["document", str(path)])
    assert isinstance(result.exception, TurboPortraitError)
    assert result.exception.code == "bad_report"
    assert str(path) in str(result.exception)


def test_an_older_version_s_report_is_refused_and_the_document_stays(tmp_path, report):
    page, path = tmp_path / "page.md", tmp_path / "tables.json"
    page.write_text("<!-- table: targets -->\nold\n<!-- end -->\n")
    del report["by person"]
    path.write_text(json.dumps(report))
    result = CliRunner().invoke(app, ["document", str(path), str(page)])
    assert isinstance(result.exception, TurboPortraitError)
    assert "by person" in str(result.exception)
    assert "old" in page.read_text()


def test_a_folder_that_cannot_be_written_is_named(tmp_path, report):
    (tmp_path / "file").write_text("")
    with pytest.raises(TurboPortraitError) as caught:
        documents.write(report, {}, tmp_path / "file" / "out")
    assert caught.value.code == "cannot_write"
