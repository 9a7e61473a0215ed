"""The command in processes of its own: two of them train as one, and signals and restarts change nothing."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch
from msgspec.structs import replace
from test_trainer import assert_same

from backend.training.config import DiscriminatorConfig, LossConfig

ROOT = Path(__file__).parents[2]


def command(config_file, *options):
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "CUDA_VISIBLE_DEVICES": ""}
    arguments = [sys.executable, "-m", "backend.cli", "train", "refiner", f"--config={config_file}", *options]
    return subprocess.Popen(
        arguments, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(process, code=0):
    output, _ = process.communicate(timeout=180)
    assert process.returncode == code, output
    return output


@pytest.fixture
def config_file(config, tmp_path):
    def write(**changes):
        settings = msgspec.to_builtins(replace(config, **changes))
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items() if not isinstance(value, dict)]
        for table in (name for name, value in settings.items() if isinstance(value, dict)):
            lines += [f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in settings[table].items())]
        path = tmp_path / "run.toml"
        path.write_text("\n".join(lines))
        return path

    return write


@pytest.mark.slow
def test_two_processes_resume_bit_equal(config_file, tmp_path):
    path = config_file(
        accumulation=2, loss=LossConfig(adversarial=0.1), discriminator=DiscriminatorConfig(width=8)
    )  # fmt: skip
    finish(command(path, "--processes=2"))
    broken = (path, "--processes=2", f"--output={tmp_path / 'broken'}")
    assert "1 of 6 steps" in finish(command(*broken, "--minutes=0"))
    assert "6 of 6 steps" in finish(command(*broken))
    straight, resumed = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("run", "broken"))
    assert_same(straight, resumed)


@pytest.mark.slow
def test_sigterm_saves_and_the_command_goes_on(config_file, tmp_path):
    path = config_file(steps=100_000, workers=2, checkpoint_every=100_000)
    process = command(path)
    log = tmp_path / "run" / "log.jsonl"
    while process.poll() is None and not log.is_file():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    process.send_signal(signal.SIGTERM)
    output = finish(process, 128 + signal.SIGTERM)
    assert "The same command goes on from here." in output
    reached = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"]
    assert reached >= 1
    assert f"{reached + 1} of {reached + 1} steps" in finish(command(path, f"--steps={reached + 1}"))


@pytest.mark.slow
def test_what_is_wrong_is_one_line(config_file, tmp_path):
    output = finish(command(config_file(corpus=str(tmp_path / "nowhere"))), code=2)
    assert "nowhere has no training identities" in output
    assert "[bad_corpus]" in output
    assert "Traceback" not in output
