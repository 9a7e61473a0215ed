"""The model that a preset builds on: found on this machine, or in the Hugging Face hub; in safetensors only."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import logging
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, ModelMixin, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from backend.models.folders import models_folder
from backend.models.sd_turbo import HUB_NAME, local_base
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import atomic_file
from backend.refiner.config import BaseModel, RefinerConfig
from backend.refiner.network.fit import check_architecture

log = logging.getLogger(__name__)

KINDS = {"unet": UNet2DConditionModel, "kl": AutoencoderKL, "tiny": AutoencoderTiny}
"""diffusers' classes: of the U-Net, and of the autoencoder by `RefinerConfig.vae_kind`."""
_WEIGHTS = "diffusion_pytorch_model"
_NEEDED = (
    *(f"{folder}{name}" for folder in ("", "unet/", "vae/") for name in ("config.json", f"{_WEIGHTS}.safetensors")),
    "tokenizer/*",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "refiner.safetensors",
    "lora.safetensors",
)
"""What is taken of a hub model: sd-turbo's also has everything a second time as one file, and in half precision."""


def find_base(base: BaseModel, download: bool = False) -> Path:
    """The folder of a base model: a local or installed one, or the hub's copy on this machine.

    Args:
        base: its name.
        download: bring it from the hub if it is not here, because it was asked for by name.

    Raises:
        FileNotFoundError: it is not to be had; the message says what to do.
    """
    if (installed := Path(local_base(base.name))).is_dir():
        return installed
    from huggingface_hub import snapshot_download

    fetch = partial(snapshot_download, base.name, revision=base.revision, allow_patterns=list(_NEEDED))
    try:
        folder = Path(fetch(local_files_only=True))
        if any(folder.rglob("*.safetensors")):
            return folder
    except Exception as error:
        log.debug("%s is not on this machine: %s", base.name, error)
    installing = "turboportrait models add sd-turbo --download" if base.name == HUB_NAME else f"hf download {base.name}"
    missing = (
        f"{base.name} is neither a folder nor on this machine: run `{installing}` while online, or name a local folder "
        "in diffusers' layout as base"
    )
    if not download:
        raise FileNotFoundError(missing)
    try:
        return Path(fetch())
    except Exception as error:
        raise FileNotFoundError(f"{missing} (the Hugging Face hub says: {error})") from error


def load_unet(folder: Path, preset: Path) -> UNet2DConditionModel:
    """The U-Net of a base model's folder; see `_load`."""
    return _load("unet", KINDS["unet"], folder, preset)


def load_vae(config: RefinerConfig, folder: Path, preset: Path) -> AutoencoderKL | AutoencoderTiny:
    """The autoencoder of a base model's folder; see `_load`."""
    return _load("vae", KINDS[config.vae_kind], folder, preset)


def _load(part: str, kind: type[ModelMixin], folder: Path, preset: Path) -> ModelMixin:
    """Load one network, in `folder/part` or, where it is a model of its own, in the folder itself.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is not what the preset's own config file of that part asks for, if it has one.
    """
    place = folder / part if (folder / part / "config.json").is_file() else folder
    if not (place / "config.json").is_file():
        raise FileNotFoundError(f"{folder} has no {part}/config.json: it is no model in diffusers' layout")
    found = kind.load_config(place)
    if found.get("_class_name", kind.__name__) != kind.__name__:
        raise ValueError(f"the {part} of {folder} is a {found['_class_name']}, the preset needs a {kind.__name__}")
    if preset != folder and (preset / part / "config.json").is_file():
        check_architecture(part, defaults(kind) | kind.load_config(preset / part), defaults(kind) | found, str(folder))
    whole = (place / f"{_WEIGHTS}.safetensors").is_file() or any(place.glob(f"{_WEIGHTS}-*.safetensors"))
    try:
        return kind.from_pretrained(place, use_safetensors=True, variant=None if whole else "fp16").float()
    except OSError as error:
        raise FileNotFoundError(f"the weights of the {part} are missing in {place}: {error}") from error


def defaults(kind: type[ModelMixin]) -> dict:
    """What a diffusers class takes where a config file says nothing."""
    parameters = inspect.signature(kind).parameters
    return {name: value.default for name, value in parameters.items() if value.default is not inspect.Parameter.empty}


def empty_prompt(folder: Path) -> torch.Tensor:
    """The embedding (1, T, D) of the empty prompt by a base model's text encoder, computed once per machine.

    It is kept in the models folder, under a name that says which text encoder it is of.

    Raises:
        FileNotFoundError: the folder has no tokenizer or text encoder.
    """
    files = sorted((folder / "text_encoder").glob("*.*"))
    if not files or not (folder / "tokenizer").is_dir():
        raise FileNotFoundError(f"{folder} has no tokenizer/ and text_encoder/: the empty prompt cannot be embedded")
    facts = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    kept = models_folder() / "prompts" / f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:32]}.safetensors"
    if kept.is_file():
        return load_file(kept)["prompt"]
    prompt = _embed_nothing(folder)
    # It costs only seconds to make again.
    with contextlib.suppress(TurboPortraitError), atomic_file(kept) as part:
        save_file({"prompt": prompt}, part)
    return prompt


def _embed_nothing(folder: Path) -> torch.Tensor:
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    variant = None if (folder / "text_encoder" / "model.safetensors").is_file() else "fp16"
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", variant=variant, use_safetensors=True).float()
    tokens = tokenizer("", padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt")
    with torch.no_grad():  # Not inference mode: training needs a tensor of the usual kind.
        return encoder(tokens.input_ids).last_hidden_state.clone()
