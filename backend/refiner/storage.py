"""Refiners on disk: a folder with config, networks, adapters and the rest, in safetensors only."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from backend.refiner.base_model import KINDS, empty_prompt, find_base, load_unet, load_vae
from backend.refiner.config import BaseModel, RefinerConfig
from backend.refiner.network.lora import add_lora, base_weights, check_base, fold_lora, has_lora, load_lora, lora_state

log = logging.getLogger(__name__)

EXTRAS_NAME = "refiner.safetensors"
"""The prompt's embedding, the skip convolutions, and a few of the base model's weights to know it again by."""

LORA_NAME = "lora.safetensors"

CLIP_TOKENS = 77
"""Length of the prompt of Stable Diffusion, the empty one as well."""


def build(cls, folder: str | Path):
    """A `Refiner` of the folder's architecture with fresh weights."""
    folder = Path(folder)
    config = RefinerConfig.load(folder)
    unet, vae = (
        kind.from_config(kind.load_config(folder, subfolder=part))
        for part, kind in (("unet", KINDS["unet"]), ("vae", KINDS[config.vae_kind]))
    )
    prompt = 0.02 * torch.randn(1, config.prompt_tokens or CLIP_TOKENS, unet.config.cross_attention_dim)
    return cls(config, unet, vae, prompt)


def load(cls, name: str | Path, base: str | Path | None = None):
    """A `Refiner` with its weights; arguments and errors as in `Refiner.from_pretrained`."""
    folder = _local_folder(name)
    refiner = _assemble(cls, folder, base)
    if _put_adapters(refiner, folder):
        for part in refiner.config.lora:
            fold_lora(getattr(refiner, part))
    elif refiner.config.base is not None:
        log.warning("%s has no adapters of its own: this is %s as published", folder, refiner.config.base.name)
    return refiner


def load_for_training(cls, folder: str | Path, base: str | Path | None = None):
    """A `Refiner` on its base, with adapters that are on; see `Refiner.for_training`."""
    folder = _local_folder(folder)
    refiner = _assemble(cls, folder, base).requires_grad_(False)
    if not _put_adapters(refiner, folder):
        for part, spec in refiner.config.lora.items():
            add_lora(getattr(refiner, part), spec)
    return refiner


def save(refiner, folder: str | Path) -> None:
    """Write everything that `load` reads; the networks are written whole, so no base model is needed any more."""
    if has_lora(refiner.unet) or has_lora(refiner.vae):
        raise ValueError("the adapters are on and not folded: save them with `save_adapters`")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    dataclasses.replace(refiner.config, base=None, vae_base=None, lora={}).save(folder)
    refiner.unet.save_pretrained(folder / "unet")
    refiner.vae.save_pretrained(folder / "vae")
    save_file(_extras(refiner), folder / EXTRAS_NAME)
    _open_to_all(folder)


def save_adapters(refiner, folder: str | Path) -> None:
    """Write config, adapters, prompt and skips; see `Refiner.save_adapters`."""
    parts = {part: getattr(refiner, part) for part in refiner.config.lora}
    if not parts or not all(map(has_lora, parts.values())):
        raise ValueError("this refiner has no adapters, or they are folded already: save it whole (`save_pretrained`)")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    refiner.config.save(folder)
    refiner.unet.save_config(folder / "unet")
    refiner.vae.save_config(folder / "vae")
    weights = {f"{part}.{key}": value for part, network in parts.items() for key, value in lora_state(network).items()}
    save_file({key: value.detach().contiguous() for key, value in weights.items()}, folder / LORA_NAME)
    save_file(_extras(refiner) | {"base": base_weights(refiner.unet)}, folder / EXTRAS_NAME)
    _open_to_all(folder)


def _assemble(cls, folder: Path, base: str | Path | None):
    """The networks, from the folder or its base, with prompt and skips; without adapters."""
    config = RefinerConfig.load(folder)
    if base is not None:
        config = dataclasses.replace(config, base=BaseModel(str(base)))
    extras = load_file(folder / EXTRAS_NAME) if (folder / EXTRAS_NAME).is_file() else {}
    if config.base is None and not extras:
        raise FileNotFoundError(f"{folder} holds no weights ({EXTRAS_NAME} is missing): train the refiner first")
    # What a preset names is not fetched unasked; what the caller names is.
    source = find_base(config.base, download=base is not None) if config.base else folder
    unet = load_unet(source, folder)
    vae = load_vae(config, find_base(config.vae_base) if config.vae_base else source, folder)
    if "base" in extras:
        check_base(unet, extras.pop("base"), str(source))
    prompt = extras.pop("prompt") if "prompt" in extras else empty_prompt(source)
    refiner = cls(config, unet, vae, prompt)
    if refiner.skips is not None and extras:
        refiner.skips.load_state_dict({key.removeprefix("skips."): value for key, value in extras.items()})
    return refiner


def _put_adapters(refiner, folder: Path) -> bool:
    """Put the folder's adapters on; False if it has none."""
    if not (refiner.config.lora and (folder / LORA_NAME).is_file()):
        return False
    weights = load_file(folder / LORA_NAME)
    for part, spec in refiner.config.lora.items():
        network = getattr(refiner, part)
        add_lora(network, spec)
        mine = {key.removeprefix(f"{part}."): w for key, w in weights.items() if key.startswith(f"{part}.")}
        load_lora(network, mine)
    return True


def _extras(refiner) -> dict[str, torch.Tensor]:
    extras = {"prompt": refiner.prompt.detach().contiguous()}
    if refiner.skips is not None:
        extras |= {f"skips.{key}": value.contiguous() for key, value in refiner.skips.state_dict().items()}
    return extras


def _open_to_all(folder: Path) -> None:
    # safetensors writes for the owner alone; an installed preset is for everyone.
    for path in folder.rglob("*.safetensors"):
        if not path.is_symlink():
            path.chmod(0o644)


def _local_folder(name: str | Path) -> Path:
    return Path(name) if Path(name).is_dir() else find_base(BaseModel(str(name)), download=True)
