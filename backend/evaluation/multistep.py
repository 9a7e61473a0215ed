"""The multi-step baseline: the same U-Net iterated, as DiffPortrait3D* of the paper iterates its own.

DiffPortrait3D* takes the avatar's views in place of its unreleased 3D-aware noise and denoises in 25 to 50 steps. Here
the steps go from the refiner's fixed timestep down to zero by the deterministic DDIM rule (Song et al. 2021, equation
12, eta 0), over the same noisy latents, with the same reference. A single step is the refiner itself. The U-Net was
trained at the one timestep only: the baseline says what iterating this network costs and gives, not what a network
trained for it would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import torch

from backend.avatars.base import RenderedView
from backend.refiner import Refiner
from backend.refiner.network.autoencoder import decode
from backend.refiner.network.diffusion import clean_latent, signal_level
from backend.refiner.network.images import NetworkViews, compose
from backend.refiner.runtime.reference import ReferenceState
from backend.refiner.runtime.refining import Refined, noise_for, refine_in_boxes
from backend.refiner.views import ViewArrays, stack_samples


@torch.inference_mode()
def refine_in_steps(
    refiner: Refiner,
    views: Sequence[RenderedView],
    reference: ReferenceState,
    steps: int,
    noise_level: float | None = None,
    seed: int = 0,
) -> list[np.ndarray]:
    """Refine V views together in so many U-Net evaluations; else as `Refiner.refine`.

    Returns:
        V images (S, S, 3) uint8.
    """
    level = refiner.config.noise_level if noise_level is None else noise_level
    iterate = partial(_iterate, refiner, steps, level, seed)
    pictures, _ = refine_in_boxes(refiner, stack_samples([views]), reference.latent[None], iterate)
    return list(pictures[0])


def _iterate(
    refiner: Refiner, steps: int, level: float, seed: int, views: ViewArrays, references: np.ndarray
) -> Refined:
    """`Refiner.refined_pictures` of one sample by so many U-Net evaluations."""
    noise = torch.from_numpy(noise_for(refiner, views, seed)).to(refiner.device)
    rgba, confidence, turned, place, warped = (torch.from_numpy(x).to(refiner.device) for x in views)
    images = NetworkViews.of(rgba, confidence, place, warped).map(lambda part: part.to(refiner.dtype))
    count = rgba.shape[1]
    encoded, features = refiner.encode_images(images.map(lambda part: part.flatten(0, 1)))
    latents = encoded.unflatten(0, (1, count))
    noisy = refiner.noised(latents, noise, level)
    noisy, places = refiner.pictured(noisy), refiner.places(noisy)
    latents_of_portrait = torch.from_numpy(references).to(noisy)

    timesteps = [round(t) for t in np.linspace(refiner.config.timestep, 0, steps + 1)]
    for now, then in pairwise(timesteps):
        signal = signal_level(replace(refiner.config, timestep=now))
        # After the last step nothing of the noise is left.
        remaining = signal_level(replace(refiner.config, timestep=then)) if then else 1.0
        timestep = torch.tensor(now, device=refiner.device)
        seen = torch.cat([torch.cat([noisy, places], 2), latents_of_portrait], 1)
        predicted = refiner.predict(seen, count, timestep)
        noisy = remaining**0.5 * clean_latent(noisy, predicted, signal) + (1 - remaining) ** 0.5 * predicted
    decoded = decode(refiner.vae, noisy.flatten(0, 1), refiner.skips, features).unflatten(0, (1, count))
    result = refiner.refinement(images, decoded, refiner.pictured(latents), turned)
    refined, sound = compose(rgba, result.correction)
    return refined.cpu().numpy(), sound.cpu().numpy()
