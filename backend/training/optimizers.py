"""The optimizer of a refiner: AdamW; or Muon (Jordan et al. 2024) for weights that are matrices, beside AdamW."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from backend.protocol.errors import TurboPortraitError
from backend.training.config import TrainingConfig

SMALLEST_MATRIX = 8
"""Of Muon: a matrix with fewer rows or columns (the picture's own channels, mostly) is AdamW's."""


def optimizer_for(trained: dict[str, nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    """An optimizer of parameters by name.

    Its groups have "share", their part of the learning rate; only weights that multiply decay.

    Raises:
        TurboPortraitError: `bad_training_config`: the package that has Muon is not there.
    """
    if config.optimizer == "adamw":
        return torch.optim.AdamW(_groups(trained, config), betas=config.betas)
    try:
        from pytorch_optimizer import Muon
        from pytorch_optimizer.optimizer.utils.matrix import zero_power_via_newton_schulz_5
    except ImportError as error:
        reason = "optimizer = \"muon\" needs the package pytorch_optimizer: pip install 'turboportrait3d[training]'"
        raise TurboPortraitError("bad_training_config", reason) from error

    class MuonInFloat32(Muon):
        """Most CPUs have no arithmetic in bfloat16, the package's choice: there a step takes several times as long."""

        @staticmethod
        def _orthogonalize(group: dict[str, Any], updates: list[torch.Tensor]) -> list[torch.Tensor]:
            return [
                zero_power_via_newton_schulz_5(
                    update.flatten(1), num_steps=group["ns_steps"], weights=group["ns_coeffs"], dtype=torch.float32
                )
                for update in updates
            ]

    on_cpu = all(parameter.device.type == "cpu" for parameter in trained.values())
    # Moonlight's factor (Liu et al. 2025) gives updates of AdamW's size, so both take the same rate.
    return (MuonInFloat32 if on_cpu else Muon)(
        _groups(trained, config), use_adjusted_lr=True, adamw_betas=config.betas, adamw_eps=1e-8
    )


def _groups(trained: dict[str, nn.Parameter], config: TrainingConfig) -> list[dict[str, Any]]:
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for name, parameter in trained.items():
        share = config.unet_share if name.startswith("unet.") else 1.0
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((share, decay, _is_matrix(parameter)), []).append(parameter)
    return [
        {"params": group, "share": share, "weight_decay": decay, "use_muon": matrix}
        for (share, decay, matrix), group in groups.items()
    ]


def _is_matrix(parameter: nn.Parameter) -> bool:
    """Whether a weight maps features to features; a convolution's is seen as (out, in times its window)."""
    return parameter.ndim > 1 and min(len(parameter), parameter[0].numel()) >= SMALLEST_MATRIX
