"""Refiners on disk: a folder with config, networks, adapters and the rest, in safetensors only."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from backend.refiner.config import BaseModel, RefinerConfig
from backend.refiner.lora import add_lora, fold_lora, load_lora

log = logging.getLogger(__name__)

EXTRAS_NAME = "refiner.safetensors"
"""The prompt's embedding and the skip convolutions."""

LORA_NAME = "lora.safetensors"


def build(cls, folder: str | Path):
    """A `Refiner` of the folder's architecture with fresh weights."""
    folder = Path(folder)
    config = RefinerConfig.load(folder)
    unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder, subfolder="unet"))
    vae = AutoencoderKL.from_config(AutoencoderKL.load_config(folder, subfolder="vae"))
    prompt = 0.02 * torch.randn(1, max(config.prompt_tokens, 1), unet.config.cross_attention_dim)
    return cls(config, unet, vae, prompt)


def load(cls, name: str | Path, base: str | Path | None = None):
    """A `Refiner` with its weights; arguments and errors as in `Refiner.from_pretrained`."""
    folder = _local_folder(name)
    config = RefinerConfig.load(folder)
    if base is not None:
        config = dataclasses.replace(config, base=BaseModel(str(base)))
    extras = load_file(folder / EXTRAS_NAME) if (folder / EXTRAS_NAME).is_file() else {}
    if config.base is None:
        if not extras:
            raise FileNotFoundError(f"{folder} holds no weights ({EXTRAS_NAME} is missing): train the refiner first")
        source: dict = {"pretrained_model_name_or_path": str(folder)}
    else:
        source = {"pretrained_model_name_or_path": config.base.name, "revision": config.base.revision}
    unet = _network(UNet2DConditionModel, "unet", source)
    vae = _network(AutoencoderKL, "vae", source)
    prompt = extras.pop("prompt") if "prompt" in extras else _empty_prompt(source)
    refiner = cls(config, unet, vae, prompt)
    if refiner.skips is not None and extras:
        refiner.skips.load_state_dict({key.removeprefix("skips."): value for key, value in extras.items()})
    if config.lora and (folder / LORA_NAME).is_file():
        _apply_lora(refiner, load_file(folder / LORA_NAME))
    elif config.base is not None:
        log.warning("%s has no adapters of its own: this is %s as published", folder, config.base.name)
    return refiner


def save(refiner, folder: str | Path) -> None:
    """Write everything that `load` reads; the networks are written whole, so no base model is needed any more."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    dataclasses.replace(refiner.config, base=None, lora={}).save(folder)
    refiner.unet.save_pretrained(folder / "unet")
    refiner.vae.save_pretrained(folder / "vae")
    extras = {"prompt": refiner.prompt.detach().contiguous()}
    if refiner.skips is not None:
        extras |= {f"skips.{key}": value.contiguous() for key, value in refiner.skips.state_dict().items()}
    save_file(extras, folder / EXTRAS_NAME)
    # safetensors writes for the owner alone; an installed preset is for everyone.
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)


def _local_folder(name: str | Path) -> Path:
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(name)))
    except Exception as error:
        raise FileNotFoundError(
            f"{name} is neither a folder nor a model that the Hugging Face hub gives: {error}"
        ) from error


def _network(kind, part: str, source: dict):
    try:
        return kind.from_pretrained(**source, subfolder=part, use_safetensors=True)
    except OSError as error:
        where = source["pretrained_model_name_or_path"]
        raise FileNotFoundError(
            f"the {part} of {where} is not there: download it once while online, or name a local folder as base: "
            f"{error}"
        ) from error


def _empty_prompt(source: dict) -> torch.Tensor:
    """The base model's embedding (1, T, D) of the empty prompt, as Stable Diffusion computes it."""
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(**source, subfolder="tokenizer")
    encoder = CLIPTextModel.from_pretrained(**source, subfolder="text_encoder")
    tokens = tokenizer("", padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt")
    with torch.inference_mode():
        return encoder(tokens.input_ids).last_hidden_state.clone()


def _apply_lora(refiner, weights: dict[str, torch.Tensor]) -> None:
    for part, spec in refiner.config.lora.items():
        network = getattr(refiner, part)
        add_lora(network, spec)
        load_lora(
            network, {key.removeprefix(f"{part}."): w for key, w in weights.items() if key.startswith(f"{part}.")}
        )
        fold_lora(network)
