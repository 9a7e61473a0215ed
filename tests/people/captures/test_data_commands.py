"""`turboportrait data` as a user runs it, on folders in the published layouts."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from layouts import write_ava256, write_nersemble_1
from PIL import Image

from backend.metrics.psnr_ssim import psnr
from backend.people.shards import is_held_out, read_identity, shards

pytestmark = pytest.mark.slow


def run(*arguments: str, most_bytes: int | None = None) -> subprocess.CompletedProcess:
    limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))) if most_bytes else None
    command = [sys.executable, "-m", "backend.commands", "data", *arguments]
    environment = os.environ | {"COLUMNS": "150"}
    return subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, env=environment, timeout=300)


@pytest.fixture(scope="module")
def captures(tmp_path_factory, rig) -> Path:
    folder = tmp_path_factory.mktemp("ava256")
    write_ava256(folder, rig)
    # One of the published held-out ones.
    write_ava256(folder, rig, "20230308--1352--BDF920")
    return folder


def test_inspecting_prints_a_summary_and_saves_a_sheet(tmp_path, rig):
    write_nersemble_1(tmp_path / "data", rig)
    (tmp_path / "data" / "020").mkdir()
    done = run("inspect", str(tmp_path / "data"), "--output", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "1 of 2 identities can be used" in done.stdout
    assert "camera_params.json is missing" in done.stdout
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["views"] == 4
    assert Image.open(tmp_path / "out" / "contact_sheet.jpg").size == (1024, 128)


def test_shards_are_what_training_reads_and_are_made_once(tmp_path, captures):
    done = run("convert", str(captures), str(tmp_path), "--size", "128")
    assert done.returncode == 0, done.stderr
    identities = [read_identity(path) for path in shards(tmp_path)]
    assert sorted(is_held_out(identity.seed) for identity in identities) == [False, True]
    for identity in identities:
        assert identity.raw.shape == (5, 128, 128, 4)
        # The fitted head stands where the calibrated one does, in every view.
        for raw, truth, head in zip(identity.raw, identity.truth, identity.head, strict=True):
            inside = (raw[..., 3] > 250) & (truth[..., 3] > 250) & (head > 250)
            assert inside.mean() > 0.2
            assert psnr(raw[..., :3], truth[..., :3], inside) > 17
        own = (identity.raw[0, ..., 3] > 250) & (identity.reference[..., 3] > 250)
        assert psnr(identity.raw[0, ..., :3], identity.reference[..., :3], own) > 23
    times = [path.stat().st_mtime_ns for path in shards(tmp_path)]
    again = run("convert", str(captures), str(tmp_path), "--size", "128")
    assert "0 shards written, 2 were there" in again.stdout
    assert times == [path.stat().st_mtime_ns for path in shards(tmp_path)]


def test_a_full_disk_leaves_no_half_shard_and_the_next_run_goes_on(tmp_path, captures):
    full = run("convert", str(captures), str(tmp_path), "--size", "128", most_bytes=40_000)
    assert full.returncode == 2
    assert "disk_full" in full.stderr
    assert "Traceback" not in full.stderr
    assert list(tmp_path.glob("identity_*")) == []
    done = run("convert", str(captures), str(tmp_path), "--size", "128", "--views", "2")
    assert done.returncode == 0, done.stderr
    assert [len(np.load(path)["raw"]) for path in shards(tmp_path)] == [3, 3]


def test_an_unknown_folder_is_an_error_of_one_line(tmp_path):
    done = run("inspect", str(tmp_path))
    assert done.returncode == 2
    assert "unknown_data" in done.stderr
    assert "Traceback" not in done.stderr
