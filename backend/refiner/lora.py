"""Low-rank adapters (Hu et al. 2021) by peft: put on for training, folded into the weights for use."""

from __future__ import annotations

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from torch import nn

from backend.refiner.config import LoraSpec


def add_lora(network: nn.Module, spec: LoraSpec) -> None:
    """Put adapters that change nothing yet on the modules that the spec names; only they stay trainable.

    Raises:
        ValueError: no module of the network matches.
    """
    inject_adapter_in_model(
        LoraConfig(r=spec.rank, lora_alpha=spec.rank, target_modules=spec.target_modules), network, "default"
    )


def lora_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """The adapters' weights alone."""
    return get_peft_model_state_dict(network)


def load_lora(network: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Fill adapters that `add_lora` put on.

    Raises:
        ValueError: the weights are not of these adapters (another base model, other modules or another rank).
    """
    expected = {key: value.shape for key, value in lora_state(network).items()}
    given = {key: value.shape for key, value in weights.items()}
    if expected != given:
        odd = sorted(set(expected.items()) ^ set(given.items()), key=str)[0]
        raise ValueError(f"these adapters belong to another base model or rank: {odd[0]} {tuple(odd[1])} has no match")
    set_peft_model_state_dict(network, weights)


def fold_lora(network: nn.Module) -> None:
    """Add the adapters to the weights they adapt and take them off: the plain network again, as fast as before."""
    for name, module in list(network.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, module.get_base_layer())
