"""The run that trains GPAvatar's network: resumable to the step, the same result however often it is interrupted."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from backend.avatars.gpavatar.network import GPAvatarNetwork
from backend.avatars.gpavatar.volume import Rays, render_rays
from backend.people.shards import is_held_out, seed_of, shards
from backend.protocol.errors import TurboPortraitError
from backend.training.gpavatar.batches import HeadBatch, collate, draw_batch, make_sample
from backend.training.gpavatar.config import GPAvatarTrainingConfig
from backend.training.gpavatar.heads import HeadViews, load_heads
from backend.training.gpavatar.losses import GPAvatarLoss, RenderedHeads, published_perceptual, resized
from backend.training.run import Run
from flame import HeadModel

WEIGHTS_NAME = "model.safetensors"
SLOW_PARTS = ("style_mlp", "final_linear")
"""Learn at a tenth of the rate, as published."""
PROBES = 4


class GPAvatarTrainer(Run[GPAvatarTrainingConfig]):
    """A run of one process.

    Everything random in a step comes from the seed and the step's number, so there is no generator's state to keep.

    Args:
        config: the run.
        model: the head model that the corpus' parameters are of.

    Attributes:
        network: what is trained.

    Raises:
        TurboPortraitError: corpus, weights or checkpoint cannot be used.
    """

    result_name = "gpavatar"
    picture_name = "portrait, coarse, fine, final, true"

    def __init__(self, config: GPAvatarTrainingConfig, model: HeadModel) -> None:
        super().__init__(config)
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
        self.preview = self._draw_preview(model)
        self.resume()

    def learn(self, step: int) -> dict[str, float]:
        """Take a step; its terms."""
        rng = np.random.default_rng([self.config.seed, step])
        batch = draw_batch(self.heads, self.config, self.sizes, rng).to(self.device)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        terms = self.loss(self.render(batch, generator), batch)
        terms["total"].backward()
        if self.config.clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate(step) * group["factor"]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return dict(zip(terms, torch.stack(list(terms.values())).tolist(), strict=True))

    def render(self, batch: HeadBatch, generator: torch.Generator | None = None) -> RenderedHeads:
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
        assert seen.coarse is not None, "`render_rays` gives both passes"
        coarse, fine = (self._images(x) for x in (seen.coarse, seen.features))
        final = network.picture(fine, self._noise(network.up_renderer, count, generator))
        return RenderedHeads(coarse[:, :3], fine[:, :3], final, opacities[0])

    @torch.no_grad()
    def pictures(self) -> np.ndarray:
        """The preview's samples, a row each: portrait, coarse, fine, final, truth; (P I, 5 I, 3) uint8."""
        batch = self.preview.to(self.device)
        self.network.eval()
        rendered = self.render(batch)
        self.network.train()
        size = self.sizes.image_size
        columns = (batch.portraits[:, 0], rendered.coarse, rendered.fine, rendered.final, batch.truth)
        rows = torch.cat([resized(column.float(), size) for column in columns], -1)
        pixels = (rows * 255).round().clamp(0, 255).to(torch.uint8).cpu()
        return pixels.permute(0, 2, 3, 1).reshape(-1, pixels.shape[-1], 3).numpy()

    def state_dict(self) -> dict[str, Any]:
        """Sizes, network and optimizer."""
        return {
            "sizes": asdict(self.sizes),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a checkpoint's state."""
        if state["sizes"] != asdict(self.sizes):
            raise ValueError("it is of a network of other sizes")
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])

    def write_result(self, folder: Path) -> None:
        """The network's weights, and its sizes beside them."""
        weights = {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}
        save_file(weights, folder / WEIGHTS_NAME)
        (folder / "config.json").write_text(json.dumps(asdict(self.sizes), indent=2) + "\n")

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

    def _draw_preview(self, model: HeadModel) -> HeadBatch:
        """A few samples to watch the run by: of held-out heads, or of any if none is held out."""
        held_out = any(is_held_out(seed_of(path)) for path in shards(self.config.corpus))
        heads: list[HeadViews] = self.heads
        if held_out:
            heads = load_heads(self.config.corpus, model, self.sizes.head_scale, held_out=True)
        samples = [
            make_sample(head, 1 + i % (len(head.images) - 1), np.array([0]), self.sizes)
            for i, head in zip(range(PROBES), PROBES * heads, strict=False)
        ]
        return collate(samples)

    def _start_from(self, path: Path) -> None:
        try:
            self.network.load_state_dict(load_file(path))
        except Exception as error:  # safetensors has exceptions of its own
            raise TurboPortraitError("bad_weights", f"{path}: {str(error)[:300]}") from error
