"""Gradients: less memory for them, and their mean over all processes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.checkpoint import checkpoint

from backend.refiner import Refiner


def recompute_activations(refiner: Refiner) -> None:
    """Gradient checkpointing (Chen et al. 2016) of both networks: the same gradients, less memory, more time."""
    refiner.unet.enable_gradient_checkpointing()
    # diffusers' own switch would do nothing here: it is in the encoder's and decoder's forward, which the refiner
    # walks through block by block.
    encoder, decoder = refiner.vae.encoder, refiner.vae.decoder
    # AutoencoderTiny has no such blocks, and little to save.
    for block in (*getattr(encoder, "down_blocks", ()), *getattr(decoder, "up_blocks", ())):
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def average_gradients(accelerator: Accelerator, parameters: Sequence[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes; a gradient that is not there counts as zero.

    One sum over all of them in a fixed order, where DistributedDataParallel's buckets depend on the backward pass that
    came first after the start: so a run is the same bit by bit however often it was resumed.
    """
    if accelerator.num_processes == 1:
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    mean = accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]), "mean")
    for parameter, values in zip(parameters, mean.split([p.numel() for p in parameters]), strict=True):
        parameter.grad = values.view_as(parameter)
