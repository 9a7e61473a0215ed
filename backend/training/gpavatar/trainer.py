"""A training run in its folder: resumable to the step, the same result however often it is interrupted."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from backend.avatars.gpavatar.network import GPAvatarNetwork
from backend.avatars.gpavatar.volume import Rays, render_rays
from backend.protocol.errors import TurboPortraitError
from backend.training.checkpoint import load_checkpoint, save_checkpoint, save_folder
from backend.training.corpus import is_held_out, shards
from backend.training.gpavatar.batches import HeadBatch, collate, draw_batch, make_sample
from backend.training.gpavatar.config import GPAvatarTrainingConfig
from backend.training.gpavatar.heads import HeadViews, load_heads
from backend.training.gpavatar.losses import GPAvatarLoss, Rendered, published_perceptual, resized
from backend.training.interruption import Interruption
from backend.training.run_log import RunLog
from flame import HeadModel

log = logging.getLogger(__name__)

CHECKPOINT_NAME, RESULT_NAME, WEIGHTS_NAME = "checkpoint.pt", "gpavatar", "model.safetensors"
SLOW_PARTS = ("style_mlp", "final_linear")
"""Learn at a tenth of the rate, as published."""
PROBES = 4


class GPAvatarTrainer:
    """A run that goes on from its checkpoint.

    Everything random in a step comes from the seed and the step's number, so there is no generator's state to keep.

    Args:
        config: the run.
        model: the head model that the corpus' parameters are of.

    Attributes:
        network: what is trained.
        step, seconds: how far it is.
        interrupted: the number of the signal that ended `run` early, or 0.

    Raises:
        TurboPortraitError: corpus, weights or checkpoint cannot be used.
    """

    def __init__(self, config: GPAvatarTrainingConfig, model: HeadModel) -> None:
        self.config = config
        self.device = torch.device("cuda" if config.device == "auto" and torch.cuda.is_available() else "cpu")
        if config.threads:
            torch.set_num_threads(config.threads)
        self.sizes = config.architecture(len(model.v_template))
        self.heads = load_heads(config.corpus, model, self.sizes.head_scale)
        torch.manual_seed(config.seed)
        self.network = GPAvatarNetwork(self.sizes).to(self.device).train()
        if config.initial:
            self._start_from(Path(config.initial))
        self.loss = GPAvatarLoss(config.loss, published_perceptual(config.lpips) if config.loss.perceptual else None)
        self.loss.to(self.device)
        self.optimizer = self._adam()
        self.probe = self._probe(model)
        self.step, self.seconds, self.interrupted, self._log_state = 0, 0.0, 0, {}
        self.folder = Path(config.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / CHECKPOINT_NAME).is_file():
            self._resume()

    def run(self, report: Callable[[int, dict[str, float]], None], minutes: float | None = None) -> None:
        """Train up to the last step, for some minutes, or until a signal; then write checkpoint and result.

        Args:
            report: called after each step with its number and terms.

        Raises:
            TurboPortraitError: `diverged`; `not_saved` at the end (before the end it is a warning).
        """
        start, before = time.monotonic(), self.seconds
        run_log = RunLog(self.folder, self.step, self._log_state)
        with Interruption() as interruption:
            while self.step < self.config.steps:
                terms = self.learn(self.step)
                self.step += 1
                self.seconds = before + time.monotonic() - start
                self._record(run_log, terms)
                report(self.step, terms)
                late = minutes is not None and time.monotonic() - start > 60 * minutes
                if interruption.signal or late:
                    break
        self.interrupted = interruption.signal
        run_log.close()
        self._save(run_log)

    def learn(self, step: int) -> dict[str, float]:
        """Take one step; its terms.

        Raises:
            TurboPortraitError: `diverged`.
        """
        rng = np.random.default_rng([self.config.seed, step])
        batch = draw_batch(self.heads, self.config, self.sizes, rng).to(self.device)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        terms = self.loss(self.render(batch, generator), batch)
        values = dict(zip(terms, torch.stack(list(terms.values())).tolist(), strict=True))
        if not math.isfinite(values["total"]):
            raise TurboPortraitError("diverged", f"at step {step}")
        terms["total"].backward()
        if self.config.clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate(step) * group["factor"]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return values

    def render(self, batch: HeadBatch, generator: torch.Generator | None = None) -> Rendered:
        """The batch's views, from its portraits.

        Args:
            generator: draws the noise and jitters the rays, as in training; None for the stored noise and no jitter.
        """
        network, sizes, count = self.network, self.sizes, len(batch.points)
        portraits = batch.portraits.flatten(0, 1)
        planes = network.encode(portraits, self._noise(network.style_tplane, len(portraits), generator))
        planes = network.attn_module(network.query_style_tplane, planes.unflatten(0, (count, -1)))
        opacities = []

        def query(coordinates: torch.Tensor, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found = network.nerf_mlp(coordinates, directions, batch.points, planes)
            opacities.append(found[0])
            return found

        rays = Rays(batch.rays.origins, batch.rays.directions)
        seen = render_rays(rays, query, sizes.coarse_samples, sizes.fine_samples, generator)
        coarse, fine = (self._images(x) for x in (seen.coarse, seen.features))
        final = network.picture(fine, self._noise(network.up_renderer, count, generator))
        return Rendered(coarse[:, :3], fine[:, :3], final, opacities[0])

    @torch.no_grad()
    def pictures(self) -> np.ndarray:
        """The probe's samples, a row each: portrait, coarse, fine, final, truth; (P I, 5 I, 3) uint8."""
        batch = self.probe.to(self.device)
        self.network.eval()
        rendered = self.render(batch)
        self.network.train()
        size = self.sizes.image_size
        columns = (batch.portraits[:, 0], rendered.coarse, rendered.fine, rendered.final, batch.truth)
        rows = torch.cat([resized(column.float(), size) for column in columns], -1)
        pixels = (rows * 255).round().clamp(0, 255).to(torch.uint8).cpu()
        return pixels.permute(0, 2, 3, 1).reshape(-1, pixels.shape[-1], 3).numpy()

    def _images(self, rays: torch.Tensor) -> torch.Tensor:
        size = self.sizes.render_size
        return rays.transpose(1, 2).unflatten(-1, (size, size))

    def _noise(self, unet, count: int, generator: torch.Generator | None) -> list[torch.Tensor] | None:
        if generator is None:
            return None
        return [image.to(self.device) for image in unet.stylegan_decoder.drawn_noise(count, generator)]

    def _adam(self) -> torch.optim.Adam:
        parameters = [(name, p) for name, p in self.network.named_parameters() if p.requires_grad]
        slow = [p for name, p in parameters if any(part in name for part in SLOW_PARTS)]
        rest = [p for name, p in parameters if not any(part in name for part in SLOW_PARTS)]
        groups = [{"params": rest, "factor": 1.0}, {"params": slow, "factor": 0.1}]
        return torch.optim.Adam(groups, self.config.learning_rate, betas=self.config.betas)

    def _probe(self, model: HeadModel) -> HeadBatch:
        """A few samples to watch the run by: of held-out heads, or of any if none is held out."""
        held_out = any(is_held_out(int(path.stem.removeprefix("identity_"))) for path in shards(self.config.corpus))
        heads: list[HeadViews] = self.heads
        if held_out:
            heads = load_heads(self.config.corpus, model, self.sizes.head_scale, held_out=True)
        samples = [
            make_sample(head, 1 + i % (len(head.images) - 1), np.array([0]), self.sizes)
            for i, head in zip(range(PROBES), PROBES * heads, strict=False)
        ]
        return collate(samples)

    def _record(self, run_log: RunLog, terms: dict[str, float]) -> None:
        config = self.config
        run_log.add(terms)
        if self.step % config.log_every == 0:
            run_log.write(self.step, self.seconds)
        if self.step % config.pictures_every == 0:
            run_log.picture("portrait, coarse, fine, final, true", self.pictures(), self.step)
        if self.step % config.checkpoint_every == 0 and self.step < config.steps:
            try:
                self._save(run_log)
            except TurboPortraitError as error:
                log.warning("step %d: %s", self.step, error)

    def _save(self, run_log: RunLog) -> None:
        state = {"step": self.step, "seconds": self.seconds, "log": run_log.state_dict(), "sizes": asdict(self.sizes)}
        networks = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_checkpoint(self.folder / CHECKPOINT_NAME, state | networks)
        save_folder(self.folder / RESULT_NAME, self._write_result)

    def _write_result(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        weights = {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}
        save_file(weights, folder / WEIGHTS_NAME)
        (folder / "config.json").write_text(json.dumps(asdict(self.sizes), indent=2) + "\n")

    def _start_from(self, path: Path) -> None:
        try:
            self.network.load_state_dict(load_file(path))
        except Exception as error:  # safetensors has exceptions of its own
            raise TurboPortraitError("bad_weights", f"{path}: {str(error)[:300]}") from error

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT_NAME
        state = load_checkpoint(path)
        try:
            if state["sizes"] != asdict(self.sizes):
                raise ValueError("it is of a network of other sizes")
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds, self._log_state = state["step"], state["seconds"], state["log"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise TurboPortraitError("bad_checkpoint", f"{path}: {error}") from error
