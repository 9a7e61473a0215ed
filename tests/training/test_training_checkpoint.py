"""What is saved is whole or not there; a full disk costs nothing that was saved before."""

import logging
import resource
from contextlib import ExitStack, contextmanager

import pytest
import torch
from msgspec.structs import replace

from backend.protocol.errors import TurboPortraitError
from backend.training.checkpoint import load_checkpoint, save_checkpoint
from backend.training.trainer import Trainer


@contextmanager
def full_disk(most: int = 8192):
    """No file can grow beyond so many bytes: writing fails as on a full disk. Never longer than needed: pytest's own
    report may be a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_comes_back(tmp_path):
    state = {"step": 3, "weights": {"a": torch.arange(4.0)}, "none": None}
    save_checkpoint(tmp_path / "checkpoint.pt", state)
    again = load_checkpoint(tmp_path / "checkpoint.pt")
    assert again["step"] == 3
    assert torch.equal(again["weights"]["a"], torch.arange(4.0))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1})
    with full_disk(), pytest.raises(TurboPortraitError) as caught:
        save_checkpoint(path, {"step": 2, "weights": torch.zeros(100_000)})
    assert caught.value.code == "disk_full"
    assert load_checkpoint(path)["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_run_outlives_a_disk_that_is_full_for_a_while(config, caplog):
    steps, full = [], ExitStack()

    def report(step, terms):
        steps.append(step)
        # Before the checkpoint of step 3 and its line in the log, and gone before the last one.
        if step == 2:
            full.enter_context(full_disk())
        if step == 4:
            full.close()

    with caplog.at_level(logging.WARNING), full:
        Trainer(config).run(report)
    assert "step 3" in caplog.text
    assert steps == [1, 2, 3, 4, 5, 6]
    assert Trainer(config).step == 6


def test_a_folder_that_cannot_be_is_told_plainly(config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TurboPortraitError, match="file") as caught:
        Trainer(replace(config, folder=str(tmp_path / "file" / "run")))
    assert caught.value.code == "cannot_write"


def test_another_programs_objects_are_not_loaded(tmp_path):
    torch.save({"step": quit}, tmp_path / "checkpoint.pt")
    with pytest.raises(TurboPortraitError) as caught:
        load_checkpoint(tmp_path / "checkpoint.pt")
    assert caught.value.code == "bad_checkpoint"
