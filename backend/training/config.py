"""A training run's settings, typed: what a TOML file under `configs` may say. docs/training.md explains them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta, Struct

from backend.protocol.errors import TurboPortraitError

Count = Annotated[int, Meta(ge=1)]
Whole = Annotated[int, Meta(ge=0)]
Weight = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class StrictSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all settings; unknown names and wrong types are refused."""


class SampleConfig(StrictSettings, frozen=True):
    """How samples are drawn.

    Attributes:
        views: V, novel views of a sample.
        crop: pixels of the square that is trained on.
        portrait_view: how often one of the views is the portrait's own, where nothing is to be changed.
        dropped: how often a raw view loses a large part.
        sure_weight: how much a pixel counts that the photo is sure of, beside 1 for one that it says nothing about.
        unplaced: how often a sample's views and portrait do not know their places on the head, as an avatar without a
            surface gives them.
        blind: how often a sample has neither a portrait nor its warp: else what they give could not be told from the
            surprise of missing them.
        marked: how often a sample's people wear decals of any colour, which are to stay; see `backend.training.decals`.
        capped, collared: how often they wear a cap or a collar of any colours, which are to stay; see
            `backend.training.garments`.
        rimmed: how often the portrait's outline has a rim that raw views stretch and the truth has not, where nothing
            is worn; see `backend.training.halos`.
        smeared: how often the warped portrait has smears that the truth has not; see
            `backend.training.projection_smears`.
        kept_weight: how much a pixel of the avatar counts that shows no head or neck (clothes, mostly): what is true
            there nobody fitted, so it is to stay as it is.
    """

    views: Count = 2
    crop: Count = 192
    portrait_view: Share = 0.25
    dropped: Share = 0.5
    unplaced: Share = 0.1
    blind: Share = 0.0
    marked: Share = 0.0
    capped: Share = 0.0
    collared: Share = 0.0
    rimmed: Share = 0.0
    smeared: Share = 0.0
    sure_weight: Share = 0.1
    kept_weight: Share = 0.0


class LossConfig(StrictSettings, frozen=True):
    """The weights of the loss's terms, see `backend.training.losses`; a term of weight 0 is not computed.

    Attributes:
        l1, l2, gradient, structure: differences of the pictures, in [-1, 1], inside the weight mask.
        levels: of the gradient term's pyramid.
        texture: how much detail there is, wherever it lies, against a blur where nobody can know the true one.
        flip: how different they look, see `backend.metrics.flip`.
        face, likeness: how unlike the true faces are to a face recogniser, and how much less like the portrait than
            raw is, see `backend.training.face_loss`.
        lpips, adversarial: see `LpipsConfig` and `DiscriminatorConfig`.
        change: the mean change, so that nothing is changed without need.
        latent: how far the latents' variance is from 1, or the noise would be no noise to them.
    """

    l1: Weight = 1.0
    l2: Weight = 0.0
    gradient: Weight = 1.0
    structure: Weight = 0.2
    levels: Count = 4
    texture: Weight = 0.0
    flip: Weight = 0.0
    face: Weight = 0.0
    likeness: Weight = 0.0
    lpips: Weight = 0.0
    adversarial: Weight = 0.0
    change: Weight = 0.01
    latent: Weight = 0.01

    @property
    def recognises(self) -> bool:
        """Whether a term takes a face recogniser."""
        return bool(self.face or self.likeness)


class LpipsConfig(StrictSettings, frozen=True):
    """The perceptual term.

    Attributes:
        net: whose features are compared.
        folder: where the backbone's weights lie; torch hub's cache if empty.
        required: whether a run without these weights is refused; else the term is left out with a warning.
    """

    net: Literal["vgg", "alex"] = "vgg"
    folder: str = ""
    required: bool = False


class DiscriminatorConfig(StrictSettings, frozen=True):
    """The discriminator of the adversarial term.

    Attributes:
        width, scales: channels after its first layer, and pictures of how many sizes.
        learning_rate: constant after the warm-up.
        start: the generator hears of the discriminator from this step on, which has learnt by then.
    """

    width: Count = 64
    scales: Count = 2
    learning_rate: Weight = 2e-4
    start: Whole = 0


class RunConfig(StrictSettings, frozen=True):
    """What every run has, whatever it trains.

    Attributes:
        corpus: the folder of shards.
        folder: where checkpoint, logs and result go.
        initial: the result of an earlier run to start from.
        seed: decides the first weights and, with step and process, every sample.
        steps, batch: how long; samples per forward pass, in every process.
        checkpoint_every, log_every, pictures_every: steps.
        threads: of the CPU, in every process; 0 leaves them as they are.
        device: "auto" takes the GPUs where there are any.
    """

    corpus: str
    folder: str
    initial: str = ""
    seed: Whole = 0
    steps: Count = 2000
    batch: Count = 1
    checkpoint_every: Count = 100
    log_every: Count = 20
    pictures_every: Count = 200
    threads: Whole = 0
    device: Literal["auto", "cpu"] = "auto"

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a TOML file.

        Raises:
            TurboPortraitError: `bad_training_config`, with the setting's name.
        """
        try:
            return msgspec.toml.decode(Path(path).read_bytes(), type=cls)
        except (OSError, ValueError) as error:
            # msgspec's and tomllib's errors are ValueErrors that name the setting or the line.
            raise TurboPortraitError("bad_training_config", f"{path}: {error}") from error


class TrainingConfig(RunConfig, frozen=True):
    """A run that trains a refiner.

    Attributes:
        baked_corpus: a second folder of shards, of people whose avatars were baked (`data convert --baked`): views as
            frames are refined from, where the first folder's are as a bake begins from.
        preset: a preset's name or a refiner's folder; its architecture is trained.
        base: a diffusers folder or hub name in place of the base model that the preset names.
        accumulation: forward passes per step.
        optimizer: "adamw", or "muon" for the weights that are matrices, with AdamW for the rest; see `optimizers`.
        learning_rate, weight_decay, betas, warmup, clip: of both, betas of AdamW; the rate rises over `warmup` steps
            and falls linearly over the last `cooldown` part of the run. Only weights that multiply decay, no biases.
        unet_share: of the learning rate, for the U-Net. At a rate that suits the autoencoder a U-Net that begins anew
            lets its residual stream grow, at no cost behind normalisations, until attention drowns in it.
        ema: decay of the averaged weights, which are the result.
        precision: "bf16" runs the refiner in mixed precision; weights, losses and optimizers stay float32.
        gradient_checkpointing: recompute activations in the backward pass, to fit into less memory.
        workers: processes that prepare samples ahead; 0 for none.
    """

    baked_corpus: str = ""
    preset: str = "compact"
    base: str = ""
    accumulation: Count = 1
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: Weight = 5e-4
    weight_decay: Weight = 1e-2
    unet_share: Share = 1.0
    betas: tuple[Share, Share] = (0.9, 0.98)
    warmup: Whole = 100
    cooldown: Share = 0.3
    clip: Weight = 1.0
    ema: Share = 0.995
    precision: Literal["no", "bf16"] = "no"
    gradient_checkpointing: bool = False
    workers: Whole = 0
    samples: SampleConfig = msgspec.field(default_factory=SampleConfig)
    loss: LossConfig = msgspec.field(default_factory=LossConfig)
    lpips: LpipsConfig = msgspec.field(default_factory=LpipsConfig)
    discriminator: DiscriminatorConfig = msgspec.field(default_factory=DiscriminatorConfig)

    def schedule(self, step: int) -> float:
        """The factor in (0, 1] of the refiner's learning rate at a step."""
        return self.rise(step) * min(1.0, (self.steps - step) / max(self.cooldown * self.steps, 1))

    def rise(self, step: int) -> float:
        """The factor in (0, 1] of the discriminator's learning rate, which only warms up."""
        return min(1.0, (step + 1) / max(self.warmup, 1))
