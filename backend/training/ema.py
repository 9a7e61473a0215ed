"""The moving average of the weights, which is a run's result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn


class Ema:
    """An exponential moving average of parameters.

    Args:
        parameters: by name; the average starts as their values.
        decay: of the average in a step.

    Attributes:
        values: the averages by name.
    """

    def __init__(self, parameters: dict[str, nn.Parameter], decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self.values = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the parameters after a step in."""
        # Young averages forget their first weights faster.
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in self.parameters.items():
            self.values[name].lerp_(parameter, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The parameters have the averages' values meanwhile."""
        own = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        fill(self.parameters, self.values)
        try:
            yield
        finally:
            fill(self.parameters, own)


@torch.no_grad()
def fill(parameters: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor]) -> None:
    """Copy values into parameters.

    Raises:
        KeyError: names differ; RuntimeError: a shape differs.
    """
    if parameters.keys() != values.keys():
        raise KeyError(f"{min(parameters.keys() ^ values.keys())} is not in both")
    for name, parameter in parameters.items():
        parameter.copy_(values[name])
