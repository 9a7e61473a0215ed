"""Attention processors for diffusers' stock U-Net: self-attention over all images of a sample, a constant prompt."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch.nn.functional import pad, scaled_dot_product_attention

from backend.refiner.network.coordinates import TokenPlaces


def _heads(tokens: torch.Tensor, heads: int) -> torch.Tensor:
    """(B, N, C) to (B, heads, N, C / heads)."""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def _merge(tokens: torch.Tensor) -> torch.Tensor:
    """(B, heads, N, C / heads) to (B, N, C)."""
    return tokens.transpose(1, 2).flatten(2)


def _project_out(attention: Attention, tokens: torch.Tensor) -> torch.Tensor:
    linear, dropout = attention.to_out
    tokens = dropout(linear(tokens))
    return tokens if attention.rescale_output_factor == 1 else tokens / attention.rescale_output_factor


class ReshapedSelfAttention:
    """Self-attention over one sequence of the tokens of all images of a sample (paper, figure 3; Difix3D).

    The U-Net's batch is (B images) with the images of a sample side by side; `images` says how many they are. It comes
    with every call, through diffusers' `cross_attention_kwargs`, so the processor keeps no state.

    Args:
        level: of the layer's resolution, the finest is 0.
    """

    def __init__(self, level: int = 0) -> None:
        self.level = level

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        images: int = 1,
        places: TokenPlaces | None = None,
    ) -> torch.Tensor:
        """(B images, N, C) to the same shape; `places` where tokens have any."""
        batch, tokens, _ = hidden_states.shape
        sequence = hidden_states.reshape(batch // images, images * tokens, -1)
        query, key, value = (_heads(to(sequence), attn.heads) for to in (attn.to_q, attn.to_k, attn.to_v))
        width = query.shape[-1]
        if places is not None:
            query, key = places.look_near(query, key, self.level)
            # The fast kernels want values as wide as keys.
            value = pad(value, (0, key.shape[-1] - width))
        mixed = scaled_dot_product_attention(query, key, value, scale=width**-0.5)[..., :width]
        return _project_out(attn, _merge(mixed)).reshape(batch, tokens, -1)


class PromptAttention:
    """Cross-attention to a prompt that is the same for all images; `freeze` computes its keys and values once."""

    def __init__(self) -> None:
        self._frozen: tuple[torch.Tensor, torch.Tensor] | None = None

    def freeze(self, attn: Attention, prompt: torch.Tensor) -> None:
        """Keep the keys and values of the prompt (1, T, D)."""
        self._frozen = self._project(attn, prompt)

    def thaw(self) -> None:
        """Compute keys and values at each call again, as training needs."""
        self._frozen = None

    @staticmethod
    def _project(attn: Attention, prompt: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return _heads(attn.to_k(prompt), attn.heads), _heads(attn.to_v(prompt), attn.heads)

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        images: int = 1,
        places: TokenPlaces | None = None,
    ) -> torch.Tensor:
        """(B images, N, C) to the same shape; a prompt has no place."""
        key, value = self._frozen or self._project(attn, encoder_hidden_states[:1])
        if key.shape[2] == 1:
            # The softmax over a single key is 1 whatever the query is.
            return _project_out(attn, _merge(value)).expand(*hidden_states.shape[:2], -1)
        query = _heads(attn.to_q(hidden_states), attn.heads)
        key, value = (x.expand(len(query), -1, -1, -1) for x in (key, value))
        return _project_out(attn, _merge(scaled_dot_product_attention(query, key, value)))


def reshape_attention(unet: UNet2DConditionModel) -> None:
    """Give a stock U-Net the refiner's processors, one object per layer."""
    levels = len(unet.config.block_out_channels)
    unet.set_attn_processor(
        {
            name: ReshapedSelfAttention(level_of(name, levels))
            if name.endswith("attn1.processor")
            else PromptAttention()
            for name in unet.attn_processors
        }
    )


def level_of(name: str, levels: int) -> int:
    """The resolution, counted from the finest, at which a U-Net of so many has a module, such as "up_blocks.1.x"."""
    part, number, *_ = name.split(".")
    if part == "mid_block":
        return levels - 1
    return int(number) if part == "down_blocks" else levels - 1 - int(number)


def freeze_prompt(unet: UNet2DConditionModel, prompt: torch.Tensor | None) -> None:
    """Compute the prompt's (1, T, D) keys and values once in every cross-attention; None undoes it."""
    for module in unet.modules():
        if isinstance(module, Attention) and isinstance(module.processor, PromptAttention):
            if prompt is None:
                module.processor.thaw()
            else:
                module.processor.freeze(module, prompt)
