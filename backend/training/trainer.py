"""Training of a refiner: resumable to the step, the same result however often it is interrupted."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from backend.refiner import Refiner
from backend.refiner.config import PRESETS
from backend.training.corpus import Identity, load_identities
from backend.training.losses import RefinerLoss
from backend.training.samples import SampleConfig, draw_batch

CHECKPOINT_NAME, LOG_NAME, RESULT_NAME = "checkpoint.pt", "log.jsonl", "refiner"


@dataclass(frozen=True)
class TrainingConfig:
    """A training run, as a TOML file gives it.

    Attributes:
        corpus: the folder of shards.
        folder: where checkpoint, log and result go.
        preset: a preset's name or a refiner's folder; its architecture is trained.
        seed: decides the first weights and every sample.
        steps, batch: how long, and samples per step.
        learning_rate, weight_decay, warmup, clip: of AdamW; the rate rises over `warmup` steps and falls linearly
            over the last `cooldown` part of the run.
        ema: decay of the averaged weights, which are the result.
        checkpoint_every, log_every: steps.
        threads: of the CPU.
        device: "cpu" or "cuda".
        samples: see `SampleConfig`; loss: arguments of `RefinerLoss`.
    """

    corpus: str
    folder: str
    preset: str = "compact"
    seed: int = 0
    steps: int = 2000
    batch: int = 1
    learning_rate: float = 5e-4
    weight_decay: float = 1e-3
    warmup: int = 100
    cooldown: float = 0.3
    clip: float = 1.0
    ema: float = 0.995
    checkpoint_every: int = 100
    log_every: int = 20
    threads: int = 2
    device: str = "cpu"
    samples: SampleConfig = field(default_factory=SampleConfig)
    loss: dict[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> TrainingConfig:
        """Read a TOML file.

        Raises:
            TypeError: it has a setting that there is not.
        """
        values = tomllib.loads(Path(path).read_text())
        return cls(**{**values, "samples": SampleConfig(**values.get("samples", {}))})


class Trainer:
    """A run that knows how to go on from its checkpoint.

    Everything random in a step comes from the seed and the step's number, so there is no generator's state to keep.
    """

    def __init__(self, config: TrainingConfig) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config = config
        self.folder = Path(config.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        preset = PRESETS / config.preset
        self.refiner = Refiner.from_config(preset if preset.is_dir() else config.preset).to(config.device)
        self.refiner.to(memory_format=torch.channels_last).train()
        self.loss = RefinerLoss(**config.loss)
        self.optimizer = torch.optim.AdamW(
            self.refiner.parameters(), config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay
        )
        self.average = {name: value.clone() for name, value in self.refiner.state_dict().items()}
        self.step, self.seconds = 0, 0.0
        if (self.folder / CHECKPOINT_NAME).is_file():
            self._resume()

    def run(self, report: Callable[[int, dict[str, float]], None], minutes: float | None = None) -> None:
        """Train up to the last step, or for some minutes; then write checkpoint and result."""
        identities = load_identities(self.config.corpus, held_out=False)
        start, before = time.monotonic(), self.seconds
        recent: list[dict[str, float]] = []
        while self.step < self.config.steps:
            terms = self._train(identities)
            recent.append(terms)
            self.step += 1
            self.seconds = before + time.monotonic() - start
            if self.step % self.config.log_every == 0:
                self._log({name: sum(entry[name] for entry in recent) / len(recent) for name in terms})
                recent.clear()
            report(self.step, terms)
            if self.step % self.config.checkpoint_every == 0:
                self.save()
            if minutes is not None and time.monotonic() - start > 60 * minutes:
                break
        self.save()

    def save(self) -> None:
        """Write the checkpoint and the averaged weights as a refiner."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "refiner": self.refiner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
        }
        partial = self.folder / f"{CHECKPOINT_NAME}.part"
        torch.save(state, partial)
        partial.rename(self.folder / CHECKPOINT_NAME)
        trained = {name: value.clone() for name, value in self.refiner.state_dict().items()}
        self.refiner.load_state_dict(self.average)
        self.refiner.save_pretrained(self.folder / RESULT_NAME)
        self.refiner.load_state_dict(trained)

    def _resume(self) -> None:
        state = torch.load(self.folder / CHECKPOINT_NAME, map_location=self.config.device, weights_only=True)
        self.refiner.load_state_dict(state["refiner"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]
        self.step, self.seconds = state["step"], state["seconds"]

    def _train(self, identities: list[Identity]) -> dict[str, float]:
        config = self.config
        rng = np.random.default_rng([config.seed, self.step])
        batch = draw_batch(identities, config.samples, config.batch, rng)
        device = config.device
        views = batch.views.to(device)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * self._schedule()
        reference, _ = self.refiner.encode_images(batch.reference.to(device))
        noise = torch.randn(reference.shape, generator=torch.Generator().manual_seed(int(rng.integers(2**62))))
        result = self.refiner(views, reference, noise.to(device), batch.noise_level.to(device))
        terms = self.loss(result, batch)
        self.optimizer.zero_grad(set_to_none=True)
        terms["total"].backward()
        torch.nn.utils.clip_grad_norm_(self.refiner.parameters(), config.clip)
        self.optimizer.step()
        self._update_average()
        with torch.no_grad():
            raw = self.loss.picture(batch.views[:, :, :3], batch)["picture"]
        return {name: value.item() for name, value in terms.items()} | {"raw_picture": raw.item()}

    def _schedule(self) -> float:
        config = self.config
        rise = min(1.0, (self.step + 1) / max(config.warmup, 1))
        fall = min(1.0, (config.steps - self.step) / max(config.cooldown * config.steps, 1))
        return rise * fall

    @torch.no_grad()
    def _update_average(self) -> None:
        # Young averages forget their first weights faster.
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.refiner.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def _log(self, terms: dict[str, float]) -> None:
        entry = {"step": self.step, "seconds": round(self.seconds, 1), **{k: round(v, 5) for k, v in terms.items()}}
        with (self.folder / LOG_NAME).open("a") as file:
            file.write(json.dumps(entry) + "\n")
