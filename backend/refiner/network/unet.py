"""One evaluation of diffusers' stock U-Net over views and references, without what only the references would need."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel

from backend.refiner.network.coordinates import TokenPlaces


def predict_noise(
    unet: UNet2DConditionModel,
    images: torch.Tensor,
    timestep: int | torch.Tensor,
    prompt: torch.Tensor,
    views: int,
    places: TokenPlaces | None = None,
) -> torch.Tensor:
    """The noise that the U-Net sees in the views; the references are looked at, and not themselves refined.

    The blocks are the stock U-Net's, in its order. Behind the last block with attention nothing passes between images
    any more, so from there on only the views go on: the same numbers for less work.

    Args:
        unet: with the processors of `attention.reshape_attention`.
        images: (B, V + R, c, h, w): V views first, then R references.
        timestep: the diffusion timestep.
        prompt: (1, T, D).
        views: V.
        places: of the tokens; None where they have none.

    Returns:
        (B, V, c, h, w).
    """
    batch, count = images.shape[:2]
    hidden = images.flatten(0, 1)
    # One row for all images: the blocks broadcast it.
    embedding = unet.time_embedding(unet.get_time_embed(sample=hidden[:1], timestep=timestep))
    attention = {"encoder_hidden_states": prompt, "cross_attention_kwargs": {"images": count, "places": places}}

    hidden = unet.conv_in(hidden)
    skipped = [hidden]
    for block in unet.down_blocks:
        hidden, outputs = block(hidden, embedding, **(attention if _attends(block) else {}))
        skipped.extend(outputs)
    if unet.mid_block is not None:
        hidden = unet.mid_block(hidden, embedding, **(attention if _attends(unet.mid_block) else {}))

    last = [-1, *(i for i, block in enumerate(unet.up_blocks) if _attends(block))][-1]
    kept = count
    for i, block in enumerate(unet.up_blocks):
        if i == last + 1:
            hidden, kept = _views_only(hidden, count, views), views
        layers = len(block.resnets)
        inputs, skipped = skipped[-layers:], skipped[:-layers]
        if kept < count:
            inputs = [_views_only(features, count, views) for features in inputs]
        size = skipped[-1].shape[2:] if skipped else None
        hidden = block(
            hidden,
            temb=embedding,
            res_hidden_states_tuple=tuple(inputs),
            upsample_size=size,
            **(attention if _attends(block) else {}),
        )
    if kept == count:
        hidden = _views_only(hidden, count, views)
    return unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden))).unflatten(0, (batch, views))


def _attends(block: torch.nn.Module) -> bool:
    return getattr(block, "has_cross_attention", False)


def _views_only(hidden: torch.Tensor, count: int, views: int) -> torch.Tensor:
    """(B count, C, H, W) to (B views, C, H, W)."""
    if views == count:
        return hidden
    return hidden.unflatten(0, (-1, count))[:, :views].flatten(0, 1)
