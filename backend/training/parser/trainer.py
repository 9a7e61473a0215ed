"""The run that trains the portrait parser."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot, softmax

from backend.models.memory_format import in_memory_format
from backend.people.parsing.crops import plain_sample
from backend.people.parsing.folds import fold_of
from backend.people.parsing.pictures import UNKNOWN, LabelledPicture, read_pictures
from backend.people.shards import is_held_out
from backend.protocol.errors import TurboPortraitError
from backend.tracking.export_parser import export_parser
from backend.tracking.inspection import class_colors
from backend.tracking.parser import CLASSES
from backend.tracking.parser_network import PortraitParserNetwork, load_network, save_network
from backend.training.parser.config import ParserLossConfig, ParserTrainingConfig
from backend.training.parser.samples import ParserBatch, draw_sample
from backend.training.run import Run

PROBES = 6
RARE = [CLASSES.index("headwear"), CLASSES.index("eyewear")]


class ParserTrainer(Run[ParserTrainingConfig]):
    """A run of one process; everything random in a step comes from the seed and the step's number.

    Attributes:
        network: what is trained; average: the mean of its weights, which is the result.

    Raises:
        TurboPortraitError: corpus, first weights or checkpoint cannot be used.
    """

    result_name = "parser"
    picture_name = "image, true regions, found regions, true alpha, found alpha"

    def __init__(self, config: ParserTrainingConfig) -> None:
        super().__init__(config)
        self.device = torch.device("cuda" if config.device == "auto" and torch.cuda.is_available() else "cpu")
        if config.threads:
            torch.set_num_threads(config.threads)
        self.people, self.portraits, self.held_out = load_corpus(Path(config.corpus), config.folds, config.fold)
        torch.manual_seed(config.seed)
        self.network = PortraitParserNetwork()
        if config.initial:
            self.network = load_network(Path(config.initial))
        in_memory_format(self.network.to(self.device), torch.channels_last).train()
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        self.resume()

    def learn(self, step: int) -> dict[str, float]:
        """Take a step; its terms."""
        config = self.config
        rng = np.random.default_rng([config.seed, step])
        batch = self._draw(rng)
        logits, alpha = self.network(batch.image.to(self.device), batch.valid.to(self.device))
        terms = parser_loss(logits, alpha, batch, config.loss)
        terms["total"].backward()
        if config.clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = config.rate(step)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._follow(step)
        return {name: value.item() for name, value in terms.items()}

    @torch.no_grad()
    def pictures(self) -> np.ndarray:
        """A few pictures, a row each: image, true and found regions, true and found alpha."""
        shown = (self.held_out or self.portraits or self.people)[:PROBES]
        samples = [plain_sample(picture) for picture in shown]
        batch = ParserBatch.of(samples)
        logits, alpha = self.average(batch.image.to(self.device), batch.valid.to(self.device))
        found, matte = logits.argmax(1).cpu().numpy(), torch.sigmoid(alpha)[:, 0].cpu().numpy()
        grey = [np.repeat(np.rint(255 * x)[..., None], 3, -1) for x in (np.stack([s.alpha for s in samples]), matte)]
        columns = (
            np.stack([s.image for s in samples]), class_colors(np.stack([s.labels for s in samples])),
            class_colors(found), *grey,
        )  # fmt: skip
        return np.concatenate(np.concatenate(columns, 2)).astype(np.uint8)

    def state_dict(self) -> dict[str, Any]:
        """Network, averaged network, optimizer."""
        return {name: getattr(self, name).state_dict() for name in ("network", "average", "optimizer")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a checkpoint's state."""
        for name in ("network", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])

    def write_result(self, folder: Path) -> None:
        """The averaged weights, and the network as the backend runs it."""
        save_network(self.average, folder / "parser.safetensors")
        export_parser(copy.deepcopy(self.average).cpu(), folder / "parser.onnx")

    def _draw(self, rng: np.random.Generator) -> ParserBatch:
        config, samples = self.config, []
        for _ in range(config.batch):
            portrait = self.portraits and (not self.people or rng.random() < config.portraits)
            pictures = self.portraits if portrait else self.people
            chances = [config.rare if _shows_rare(picture) else 1.0 for picture in pictures]
            picture = pictures[rng.choice(len(pictures), p=np.array(chances) / sum(chances))]
            samples.append(draw_sample(picture, self.portraits or self.people, config.augmentation, config.size, rng))
        return ParserBatch.of(samples)

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        # Early on the mean forgets quickly, or it would keep the random first weights.
        decay = min(self.config.ema, (1 + step) / (10 + step))
        for mean, value in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)


def load_corpus(
    folder: Path, folds: int, fold: int
) -> tuple[list[LabelledPicture], list[LabelledPicture], list[LabelledPicture]]:
    """People and portraits to learn from, and what is left out: held-out people and the fold's portraits.

    Raises:
        TurboPortraitError: `bad_corpus`: there is nothing to learn from.
    """
    found = {kind: read_pictures(folder / kind) if (folder / kind).is_dir() else [] for kind in ("people", "portraits")}
    if not any(found.values()):
        raise TurboPortraitError("bad_corpus", f"{folder} has neither people nor portraits")
    groups = sorted({picture.group for picture in found["portraits"]})
    left = {group for group in groups if fold_of(group, groups, folds) == fold}
    kept_people = [p for p in found["people"] if not is_held_out(int(p.group))]
    kept_portraits = [p for p in found["portraits"] if p.group not in left]
    held_out = [p for p in found["portraits"] if p.group in left]
    held_out += [p for p in found["people"] if is_held_out(int(p.group))]
    return kept_people, kept_portraits, held_out


def parser_loss(logits: Tensor, alpha: Tensor, batch: ParserBatch, weights: ParserLossConfig) -> dict[str, Tensor]:
    """The loss and its terms.

    Args:
        logits: (B, 6, C, C). alpha: (B, 1, C, C) logits.
    """
    labels, valid, truth = (x.to(logits.device) for x in (batch.labels, batch.valid, batch.alpha))
    classes = cross_entropy(logits, labels, ignore_index=UNKNOWN)
    known = (labels != UNKNOWN)[:, None]
    found = softmax(logits, 1) * known
    wanted = one_hot(labels.clamp_max(len(CLASSES)), len(CLASSES) + 1)[..., :-1].permute(0, 3, 1, 2) * known
    shown = wanted.sum((0, 2, 3))
    dice = (2 * (found * wanted).sum((0, 2, 3)) + 1) / (found.sum((0, 2, 3)) + shown + 1)
    overlap = 1 - dice[shown > 0].mean()
    band = 1 + weights.band * ((truth > 0.02) & (truth < 0.98))
    difference = torch.sigmoid(alpha) - truth
    total = valid.sum().clamp_min(1)
    mean = (difference.abs() * band * valid).sum() / total
    edge = sum((difference.diff(dim=axis) * _both(valid, axis)).abs().sum() for axis in (2, 3)) / total
    terms = {"classes": classes, "overlap": overlap, "alpha": mean, "edge": edge}
    return terms | {"total": sum(getattr(weights, name) * value for name, value in terms.items())}


def _shows_rare(picture: LabelledPicture) -> bool:
    return bool(np.isin(picture.labels, RARE).any())


def _both(valid: Tensor, axis: int) -> Tensor:
    length = valid.shape[axis] - 1
    return valid.narrow(axis, 0, length) * valid.narrow(axis, 1, length)
