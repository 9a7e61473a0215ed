"""The order of weights in memory."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def in_memory_format(network: NetworkT, order: torch.memory_format) -> NetworkT:
    """`network.to(memory_format=order)`, which torch's type hints do not know."""
    return network.to(memory_format=order)  # type: ignore[call-overload]
