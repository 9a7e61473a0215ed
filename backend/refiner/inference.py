"""Refining in use: pictures in, pictures out, whatever the memory allows, and never a black frame."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from backend.protocol.errors import TurboPortraitError
from backend.refiner.autoencoder import reduction
from backend.refiner.coordinates import scaled_places
from backend.refiner.cropping import Boxes, head_share
from backend.refiner.diffusion import seeded_noise
from backend.refiner.images import (
    check_square,
    compose,
    network_views,
    reference_tensor,
    stack_moments,
    with_own_clothes,
)
from backend.refiner.refinement import ReferenceState, Unrefined
from backend.refiner.runtime import Inputs, StaticRunner, Tensors, can_compile

if TYPE_CHECKING:
    from backend.avatars.base import RenderedView
    from backend.refiner.refiner import Refiner

log = logging.getLogger(__name__)

Warn = Callable[[str], None]


@torch.inference_mode()
def encode_reference(
    refiner: Refiner, images: Sequence[np.ndarray], places: Sequence[np.ndarray | None]
) -> ReferenceState:
    """See `Refiner.encode_reference`."""
    if not len(images):
        raise ValueError("there is no reference portrait to encode")
    for image in images:
        check_square(image, refiner.size, "the reference portrait")
    stacked = torch.stack([reference_tensor(*pair) for pair in zip(images, places, strict=True)])
    on_device = stacked.to(refiner.device, refiner.dtype, memory_format=torch.channels_last)
    return ReferenceState(refiner.encode_images(on_device)[0])


@torch.inference_mode()
def refine_batch(
    refiner: Refiner,
    moments: Sequence[Sequence[RenderedView]],
    reference: ReferenceState | Sequence[ReferenceState] | None,
    noise_level: float | None,
    seed: int,
    warn: Warn | None,
) -> list[list[np.ndarray]]:
    """See `Refiner.refine_batch`."""
    warn = warn or log.warning
    level = refiner.config.noise_level if noise_level is None else noise_level
    if not 0 <= level <= 1:
        raise ValueError(f"the noise level must be in [0, 1], not {level}")
    if len({len(moment) for moment in moments}) > 1:
        raise ValueError("all moments of a batch must have the same number of views")
    for view in (view for moment in moments for view in moment):
        check_square(view.rgba, refiner.size, "a view to refine")
    if not moments or not moments[0]:
        return [[] for _ in moments]
    views = stack_moments(moments)
    refine = partial(_refine, refiner, level=level, seed=seed, warn=warn)
    refined, sound = in_boxes(refiner, views, _latents(reference, len(moments)), refine)
    if not sound.all():
        sentence = (
            f"{int((~sound).sum())} of {sound.numel()} views could not be refined, because the network's result was "
            "not finite: they are shown as the avatar renders them"
        )
        warn(Unrefined(sentence))
    pictures = [list(moment) for moment in refined.numpy()]
    if refiner.config.head_only:
        pictures = [list(map(with_own_clothes, *pair)) for pair in zip(moments, pictures, strict=True)]
    return pictures


def refined_pictures(
    refiner: Refiner,
    rgba: torch.Tensor,
    confidence: torch.Tensor,
    turned: torch.Tensor,
    place: torch.Tensor,
    warped: torch.Tensor,
    reference: torch.Tensor | None,
    noise: torch.Tensor,
    level: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One evaluation, all of it on the device.

    Args:
        refiner: prepared.
        rgba: (B, V, S, S, 4) uint8; confidence: (B, V, S, S); turned: (B, V, S, S) radians.
        place: (B, V, S, S, 3) metres; warped: (B, V, S, S, 3) uint8.
        reference: (B or 1, R, c, h, w) or None.
        noise: (1, c, h, w); level: ().

    Returns:
        (B, V, S, S, 3) uint8, and (B, V) bool, see `compose`.
    """
    views = network_views(rgba, confidence, place, warped).to(refiner.dtype)
    result = refiner(views, reference, noise, level, turned)
    return compose(rgba, result.correction)


def runner(refiner: Refiner) -> StaticRunner:
    """`refined_pictures` on kept buffers; on a GPU the paper's case, two views of one moment, is compiled as well."""

    def compile_when(inputs: Inputs) -> bool:
        return can_compile(refiner.device) and tuple(inputs[0].shape[:2]) == (1, 2)

    return StaticRunner(partial(refined_pictures, refiner), refiner.device, compile_when)


def _boxes(refiner: Refiner, views: Tensors, latents: torch.Tensor | None) -> tuple[Boxes, Boxes | None] | None:
    """Around the heads in all views (B V of them) and references (in latents), of one size; None: the whole pictures.

    On a GPU each shape is a graph of its own, and what the whole pictures cost more is small.
    """
    if not refiner.config.head_only or refiner.device.type != "cpu":
        return None
    reach = reduction(refiner.vae)
    fine = 2 ** (len(refiner.unet.config.block_out_channels) - 1)
    rgba, place = views[0], views[3]
    shown = (head_share(scaled_places(place).movedim(-1, -3))[:, :, 0] > 0) & (rgba[..., 3] > 0)
    ours = Boxes.around(shown.flatten(0, 1), reach * fine)
    if latents is None:
        return ours, None
    told = refiner.told(latents).flatten(0, 1)
    known = told[:, 3:4] > 0
    # Of a portrait that knows no places any part will do.
    shown = (head_share(told[:, :3] / told[:, 3:4].clamp_min(1e-3)) > 0) & known
    theirs = Boxes.around(shown[:, 0], fine).grown(ours.height // reach, ours.width // reach, refiner.size // reach)
    return ours.grown(theirs.height * reach, theirs.width * reach, refiner.size), theirs


def in_boxes(
    refiner: Refiner,
    views: Tensors,
    latents: torch.Tensor | None,
    refine: Callable[[Tensors, torch.Tensor | None], Tensors],
) -> Tensors:
    """Refine boxes around the heads alone, where the refiner does so; around them the views stay as they are.

    Args:
        views: from `stack_moments`. latents: of the references, (1 or B, R, c, h, w).
        refine: takes both, whole or cut, to what `refined_pictures` returns.

    Returns:
        What `refined_pictures` returns, of the whole views.
    """
    boxes = _boxes(refiner, views, latents)
    if boxes is None:
        return refine(views, latents)
    ours, theirs = boxes
    moments = views[0].shape[:2]
    cut = tuple(ours.cut(x.flatten(0, 1)).unflatten(0, moments) for x in views)
    if latents is not None:
        latents = theirs.cut(latents.flatten(0, 1), along=2).unflatten(0, latents.shape[:2])
    parts, sound = refine(cut, latents)
    refined = views[0][..., :3].clone()
    ours.paste(parts.flatten(0, 1), refined.flatten(0, 1))
    return refined, sound


def noise_for(refiner: Refiner, views: Tensors, seed: int) -> torch.Tensor:
    """(1, latent_channels, h, w) for views of `stack_moments` or boxes of them: the same, whatever was cut away."""
    reach = reduction(refiner.vae)
    side = refiner.size // reach
    height, width = (pixels // reach for pixels in views[0].shape[2:4])
    return seeded_noise((1, refiner.vae.config.latent_channels, side, side), seed)[..., :height, :width]


def _refine(
    refiner: Refiner,
    views: Tensors,
    reference: torch.Tensor | None,
    level: float,
    seed: int,
    warn: Warn,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`refined_pictures` of `stack_moments`' views or boxes of them, on the CPU's side; split in two, again and again,
    where memory runs out.
    """
    device = refiner.device
    noise = noise_for(refiner, views, seed)
    try:
        inputs = (*views, reference, noise, torch.tensor(level))
        placed = (None if x is None else x.to(device) for x in inputs)
        return tuple(x.to("cpu", copy=True) for x in refiner.runner(*placed))
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _ran_out_of_memory(error):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    # Outside the handler: there the traceback would still hold the memory.
    if device.type == "cuda":
        refiner.runner.forget()
        torch.cuda.empty_cache()
    batch, of_each = views[0].shape[:2]
    along, count = (0, batch) if batch > 1 else (1, of_each)
    if count == 1:
        raise TurboPortraitError("out_of_memory", reason[:200])
    what = "moments" if along == 0 else "views, which no longer see each other,"
    warn(f"memory ran out: the batch of {count} {what} is refined in two parts ({reason[:120]})")
    per_moment = along == 0 and reference is not None and len(reference) == count
    halves = []
    for part in torch.arange(count).tensor_split(2):
        chosen = slice(int(part[0]), int(part[-1]) + 1)
        index = (chosen,) if along == 0 else (slice(None), chosen)
        latents = reference[chosen] if per_moment else reference
        halves.append(_refine(refiner, tuple(x[index] for x in views), latents, level, seed, warn))
    return tuple(torch.cat(pair, dim=along) for pair in zip(*halves, strict=True))


def _ran_out_of_memory(error: BaseException) -> bool:
    # The CPU's allocator has no exception of its own.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def _latents(reference: ReferenceState | Sequence[ReferenceState] | None, count: int) -> torch.Tensor | None:
    """(1 or B, R, c, h, w)."""
    if reference is None:
        return None
    if isinstance(reference, ReferenceState):
        return reference.latent[None]
    if len(reference) != count:
        raise ValueError(f"there are {len(reference)} references for {count} moments")
    if len({len(state.latent) for state in reference}) > 1:
        raise ValueError("all moments of a batch must have the same number of reference images")
    return torch.stack([state.latent for state in reference])
