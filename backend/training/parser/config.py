"""The settings of a parser's training, typed: what a TOML file may say."""

from __future__ import annotations

import msgspec

from backend.people.parsing.folds import FOLDS
from backend.training.config import Count, RunConfig, Share, StrictSettings, Weight, Whole


class AugmentationConfig(StrictSettings, frozen=True):
    """How often each change is made, and how far it goes.

    Attributes:
        turned: degrees, one standard deviation of the tilt. scaled: largest relative change of the crop's side.
            shifted: the same of its place.
        cut: the photo ends inside the crop.
        replaced: people and portraits get another background.
        dyed: hair, headwear and clothing get other colours.
        spectacles, headwear: who wears none gets painted ones.
        occluded: something stands before the person.
        monochrome, blurred, compressed: the whole picture.
    """

    turned: Weight = 10.0
    scaled: Share = 0.22
    shifted: Share = 0.08
    cut: Share = 0.3
    replaced: Share = 0.6
    dyed: Share = 0.4
    spectacles: Share = 0.2
    headwear: Share = 0.15
    occluded: Share = 0.1
    monochrome: Share = 0.05
    blurred: Share = 0.25
    compressed: Share = 0.5


class ParserLossConfig(StrictSettings, frozen=True):
    """The weights of the loss's terms.

    Attributes:
        classes: cross-entropy. overlap: 1 - soft Dice, averaged over the classes that a batch shows.
        alpha: mean absolute error. edge: the same of alpha's gradients.
        band: how much more a pixel counts for alpha where the truth lies between 0.02 and 0.98.
    """

    classes: Weight = 1.0
    overlap: Weight = 0.5
    alpha: Weight = 2.0
    edge: Weight = 2.0
    band: Weight = 4.0


class ParserTrainingConfig(RunConfig, frozen=True):
    """A run that trains the portrait parser.

    Attributes:
        corpus: what `turboportrait train parser-corpus` wrote: `people` and `portraits`, either may be missing.
        size: pixels of a sample's sides. At half the crop's a step takes a quarter of the time: a first run.
        portraits: the share of portraits among the samples.
        rare: how much oftener pictures are drawn that show eyewear or headwear.
        folds, fold: the portraits are dealt into so many folds, this one is left out; a fold of -1 leaves none out.
        learning_rate, weight_decay, warmup, cooldown, clip: of AdamW; the rate rises over `warmup` steps and falls
            linearly over the last `cooldown` part of the run.
        ema: decay of the averaged weights, which are the result.
    """

    size: Count = 256
    portraits: Share = 0.5
    rare: Weight = 3.0
    folds: Count = FOLDS
    fold: int = -1
    batch: Count = 8
    learning_rate: Weight = 2e-3
    weight_decay: Weight = 1e-2
    warmup: Whole = 50
    cooldown: Share = 0.5
    clip: Weight = 1.0
    ema: Share = 0.995
    augmentation: AugmentationConfig = msgspec.field(default_factory=AugmentationConfig)
    loss: ParserLossConfig = msgspec.field(default_factory=ParserLossConfig)

    def rate(self, step: int) -> float:
        """The learning rate at a step."""
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        fall = min(1.0, (self.steps - step) / max(self.cooldown * self.steps, 1))
        return self.learning_rate * rise * fall
