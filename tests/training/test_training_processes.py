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

from backend.commands.app import main
from backend.training.config import DiscriminatorConfig, LossConfig, TrainingConfig
from backend.training.trainer import Trainer

ROOT = Path(__file__).parents[2]


RUN = """
import sys, torch
from msgspec.structs import replace
from backend.training.config import TrainingConfig
from backend.training.trainer import Trainer
config = TrainingConfig.load(sys.argv[1])
trainer = Trainer(config)
trainer.run(lambda step, terms: None)
torch.save(trainer.state_dict(), f"{config.folder}/process{trainer.accelerator.process_index}.pt")
Trainer(replace(config, folder=config.folder + "_broken")).run(lambda step, terms: None, minutes=0)
# As the command does: a process that leaves its group's threads running may abort.
trainer.accelerator.end_training()
"""


def python(*arguments):
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def command(config_file, *options):
    return python("-m", "backend.commands", "train", "refiner", f"--config={config_file}", *options)


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
def test_two_processes_train_as_one_and_resume_bit_equal(config_file, tmp_path):
    path = config_file(
        accumulation=2, loss=LossConfig(adversarial=0.1), discriminator=DiscriminatorConfig(width=8)
    )  # fmt: skip
    (tmp_path / "run.py").write_text(RUN)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    finish(python(*launcher, tmp_path / "run.py", path))
    assert_same(*(torch.load(tmp_path / "run" / f"process{rank}.pt", weights_only=True) for rank in (0, 1)))
    straight, broken = (tmp_path / name / "checkpoint.pt" for name in ("run", "run_broken"))
    assert torch.load(broken, weights_only=True)["step"] == 1
    assert "6 of 6 steps" in finish(command(path, "--processes=2", f"--output={broken.parent}"))
    assert_same(*(torch.load(file, weights_only=True) for file in (straight, broken)))


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
    assert Trainer(TrainingConfig.load(path)).step == reached


def test_what_is_wrong_is_one_line(config_file, tmp_path, monkeypatch, capsys):
    path = config_file(corpus=str(tmp_path / "nowhere"))
    monkeypatch.setattr(sys, "argv", ["turboportrait", "train", "refiner", f"--config={path}"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "nowhere has no training identities" in line
    assert "[bad_corpus]" in line
