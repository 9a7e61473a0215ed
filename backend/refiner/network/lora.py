"""Low-rank adapters (Hu et al. 2021) by peft: put on for training, folded into the weights for use."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
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
    expected = {key: tuple(value.shape) for key, value in lora_state(network).items()}
    given = {key: tuple(value.shape) for key, value in weights.items()}
    if expected.keys() != given.keys():
        unmatched = sorted(expected.keys() ^ given.keys())[0]
        raise ValueError(
            f"these adapters belong to another base model or to other modules of it: {unmatched} is only on one side"
        )
    ranks = [{shapes[key][0] for key in shapes if ".lora_A." in key} for shapes in (expected, given)]
    if ranks[0] != ranks[1]:
        raise ValueError(f"these adapters are of rank {ranks[1]}, the preset's are of rank {ranks[0]}")
    odd = [key for key in expected if expected[key] != given[key]]
    if odd:
        raise ValueError(
            f"these adapters belong to another base model: {odd[0]} is {given[odd[0]]} and should be {expected[odd[0]]}"
        )
    set_peft_model_state_dict(network, weights)


def has_lora(network: nn.Module) -> bool:
    """Whether adapters are on and not folded."""
    return any(isinstance(module, BaseTunerLayer) for module in network.modules())


def base_weights(unet: UNet2DConditionModel) -> torch.Tensor:
    """A few of a U-Net's own weights (64,), to know it again by in whatever precision it is stored."""
    layer = unet.conv_in
    layer = layer.get_base_layer() if isinstance(layer, BaseTunerLayer) else layer
    return next(layer.parameters()).detach().flatten()[:64].float().cpu().clone()


def check_base(unet: UNet2DConditionModel, expected: torch.Tensor, where: str) -> None:
    """Raise ValueError unless the U-Net is the one that `base_weights` were taken of."""
    if not torch.allclose(base_weights(unet), expected, rtol=0.02, atol=1e-4):
        raise ValueError(f"these adapters were trained on another base model than {where}: name the one they are for")


def fold_lora(network: nn.Module) -> None:
    """Add the adapters to the weights they adapt and take them off: the plain network again, as fast as before."""
    for name, module in list(network.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, module.get_base_layer())
    if hasattr(network, "peft_config"):
        del network.peft_config
