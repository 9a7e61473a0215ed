"""One training step: refiner, discriminator and their optimizers, on whatever devices there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from backend.metrics.lpips import Lpips
from backend.models.memory_format import in_memory_format
from backend.refiner.network.refinement import Refinement
from backend.refiner.runtime.refining import seeded_noise
from backend.refiner.runtime.static_runner import keep_freed_memory
from backend.training.adversary import Adversary
from backend.training.config import TrainingConfig
from backend.training.ema import Ema, fill
from backend.training.face_loss import FaceLoss
from backend.training.gradients import average_gradients, recompute_activations
from backend.training.initial_refiner import refiner_to_train
from backend.training.losses import RefinerLoss, within
from backend.training.optimizers import optimizer_for
from backend.training.samples import Batch


class Learner:
    """All that a run changes, the same in every process.

    Args:
        config: the run.

    Attributes:
        refiner: what is trained; trained: its parameters that change, by name.
        average: their moving average.
        adversary: the discriminator and its optimizer, None without an adversarial term.

    Raises:
        TurboPortraitError: weights that the config names cannot be used.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.accelerator = Accelerator(cpu=config.device == "cpu", mixed_precision=config.precision)
        self.device = self.accelerator.device
        if config.threads:
            torch.set_num_threads(config.threads)
        if self.device.type == "cpu":
            keep_freed_memory()
        torch.manual_seed(config.seed)
        self.refiner = in_memory_format(refiner_to_train(config).to(self.device), torch.channels_last).train()
        if config.gradient_checkpointing:
            recompute_activations(self.refiner)
        self.refiner.unet.conv_norm_out.register_forward_pre_hook(self._watch_stream)
        self.trained = {name: p for name, p in self.refiner.named_parameters() if p.requires_grad}
        self.average = Ema(self.trained, config.ema)
        lpips = Lpips.load(config.lpips.net, config.lpips.folder, config.lpips.required) if config.loss.lpips else None
        face = FaceLoss.load() if config.loss.recognises else None
        self.loss = RefinerLoss(config.loss, lpips, face).to(self.device)
        self.optimizer = optimizer_for(self.trained, config)
        self.adversary = Adversary(config.discriminator, self.device) if config.loss.adversarial else None

    def learn(self, step: int, batches: list[Batch]) -> dict[str, torch.Tensor]:
        """Take a step, with the mean gradient of all batches and processes; its terms in this process, scalars."""
        config = self.config
        passes = [self._backward(step, batch.to(self.device), 1 / len(batches)) for batch in batches]
        self._update(self.optimizer, list(self.trained.values()), config.learning_rate * config.schedule(step))
        self.average.update(step)
        if self.adversary is not None:
            self._update(
                self.adversary.optimizer,
                self.adversary.parameters,
                config.discriminator.learning_rate * config.rise(step),
            )
        return {name: torch.stack([terms[name] for terms in passes]).mean() for name in passes[0]}

    @torch.no_grad()
    def pictures(self, batch: Batch) -> torch.Tensor:
        """The averaged weights' pictures (B, V, 3, S, S) of a batch, at the noise level of use, on the CPU."""
        batch = batch.to(self.device)
        with self.average.in_place():
            return self._refine(batch, self.refiner.config.noise_level).apply(batch.views).float().cpu()

    def save_result(self, folder: Path) -> None:
        """Write the averaged weights as a refiner; the adapters alone where there is a base model."""
        with self.average.in_place():
            if self.refiner.config.base is not None:
                self.refiner.save_adapters(folder)
            else:
                self.refiner.save_pretrained(folder)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps; what the base model gives is not in it."""
        return {
            "refiner": {name: parameter.detach() for name, parameter in self.trained.items()},
            "average": self.average.values,
            "optimizer": self.optimizer.state_dict(),
            "adversary": None if self.adversary is None else self.adversary.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a checkpoint's state.

        Raises:
            KeyError, RuntimeError, ValueError: it is of another refiner or discriminator.
        """
        fill(self.trained, state["refiner"])
        fill(self.average.values, state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if (self.adversary is None) != (state["adversary"] is None):
            raise ValueError("one of checkpoint and configuration has an adversarial term, the other has none")
        if self.adversary is not None:
            self.adversary.load_state_dict(state["adversary"])

    def _backward(self, step: int, batch: Batch, share: float) -> dict[str, torch.Tensor]:
        """Add a batch's share to all gradients; its terms, detached."""
        result = self._refine(batch, batch.noise_level)
        refined = result.apply(batch.views).float()
        terms = self.loss(result, refined, batch)
        if self.adversary is not None:
            seen = within(refined, batch)
            seen, truth, weight = (x.flatten(0, 1) for x in (seen, batch.truth, batch.weight))
            terms["adversarial"] = self.adversary.deceived(seen, weight, step)
            terms["total"] = terms["total"] + self.config.loss.adversarial * terms["adversarial"]
        (terms["total"] * share).backward()
        if self.adversary is not None:
            judged = self.adversary.losses(truth, seen, weight)
            (judged["discriminator"] * share).backward()
            terms |= judged
        with torch.no_grad():
            terms["stream"] = self._stream
            terms["raw_picture"] = self.loss.picture(batch.views.color, batch)["picture"]
        return {name: term.detach() for name, term in terms.items()}

    def _watch_stream(self, _: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        """How large the U-Net's residual stream has grown: attention drowns in it unseen (`docs/training.md`)."""
        self._stream = inputs[0].detach().float().square().mean().sqrt()

    def _refine(self, batch: Batch, noise_level: torch.Tensor | float) -> Refinement:
        with self.accelerator.autocast():
            reference, _ = self.refiner.encode_images(batch.reference)
            shape = tuple(self.refiner.pictured(reference).shape)
            noise = torch.from_numpy(seeded_noise(shape, batch.noise_seed)).to(self.device)
            return self.refiner(batch.views, reference, noise, noise_level, batch.turned)

    def _update(self, optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter], rate: float) -> None:
        average_gradients(self.accelerator, parameters)
        torch.nn.utils.clip_grad_norm_(parameters, self.config.clip)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
