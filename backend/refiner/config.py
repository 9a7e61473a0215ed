"""What a refiner is, apart from its weights: one JSON file per preset."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from backend.models.folder_files import read_text_file
from backend.models.presets import SHIPPED, preset_folders

PRESETS = SHIPPED
CONFIG_NAME = "config.json"
Share = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(min_length=1, max_length=1000)]


@dataclass(frozen=True)
class BaseModel:
    """Where U-Net and autoencoder come from when the preset's folder does not hold them.

    Attributes:
        name: a Hugging Face hub name or a local folder in diffusers' layout (`unet/`, `vae/`, and for the prompt
            `tokenizer/` and `text_encoder/`).
        revision: the hub's revision.
    """

    name: Text
    revision: Text = "main"


NetworkName = Literal["unet", "vae"]


@dataclass(frozen=True)
class LoraSpec:
    """Low-rank adapters on one network.

    Attributes:
        rank: the adapters' rank; their scale is 1 (alpha = rank).
        target_modules: a regular expression that the whole name of a module that gets one matches (peft's form).
    """

    rank: Annotated[int, Meta(ge=1, le=1024)]
    target_modules: Text


@dataclass(frozen=True)
class RefinerConfig:
    """The settings that the class `Refiner` reads; the two networks keep diffusers' own config files.

    Attributes:
        name: the preset's name.
        size: pixels, the side of the square views.
        timestep: the fixed diffusion timestep (paper, section 3.2).
        noise_level: r in z = (1 - r) z + r n, in use.
        beta_start, beta_end, train_timesteps: the scaled-linear noise schedule (sd-turbo's scheduler config).
        skips: encoder features of the view being refined go to the decoder through zero-initialised 1x1 convolutions.
        blend: what the photo is sure of stays as it is: the change to the raw view is bounded by the photo's
            confidence, and by a learned mask where the decoder gives one (4 channels: a correction and its mask; 3: the
            picture).
        full_confidence: confidence from which on the blend leaves the raw view as it is.
        free_turn: two turns off the portrait's view, degrees: up to the first the blend holds what the photo is sure
            of, from the second on it no longer does, because what a turned view shows there is no longer the photo but
            its warp over a geometry that is only nearly right. None: it always holds.
        least_hold: how far, in [0, 1], the blend holds in all views, however turned.
        last_turn: two turns off the portrait's view, degrees, between which all changes fade: beyond, the portrait
            shows nothing of what the view does, and what a network guesses there is no better than the avatar's own
            fill. None: views from all sides are refined.
        outlier_scale: the length of a pixel's change (red, green and blue, of 255) from which on less of it remains
            the larger it is (see `robustness`). In use alone: training must feel its errors. None: all of it remains.
        kept_detail: how much, in [0, 1], of a view's fine detail stays where the photo or a mesh has it (see `detail`);
            all of it in training mode, if any.
        coordinates: the networks are told where on the head every pixel lies (see `coordinates`), and what the portrait
            shows there (`RenderedView.warped`): the autoencoder has 6 more input channels, the U-Net
            `coordinates.FEATURES`.
        head_only: nothing is changed below the neck, nor clothes beside it where a view says which they are; on a CPU
            the networks see a box around head and neck only (see `head_share`); needs coordinates.
        prompt_tokens: length of a learned prompt embedding; 0 means the base model's embedding of the empty prompt.
        base: see `BaseModel`; None when the folder itself holds both networks.
        lora: adapters by network, "unet" and "vae".
        vae_kind: "kl" for diffusers' AutoencoderKL, "tiny" for its AutoencoderTiny.
        vae_base: where the autoencoder comes from, where that is not `base`.
        latent_scale: the autoencoder's scaling factor that the U-Net knows; None takes whichever it has.
    """

    name: Text
    size: Annotated[int, Meta(ge=16, le=2048, multiple_of=8)] = 256
    timestep: Annotated[int, Meta(ge=0)] = 400
    noise_level: Share = 0.1
    beta_start: Annotated[float, Meta(gt=0, lt=1)] = 0.00085
    beta_end: Annotated[float, Meta(gt=0, lt=1)] = 0.012
    train_timesteps: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    skips: bool = False
    blend: bool = False
    full_confidence: Annotated[float, Meta(ge=1e-3, le=1e3)] = 1.0
    free_turn: tuple[float, float] | None = None
    least_hold: Share = 0.0
    last_turn: tuple[float, float] | None = None
    outlier_scale: Annotated[float, Meta(ge=1, le=1000)] | None = None
    kept_detail: Share = 0.0
    coordinates: bool = False
    head_only: bool = False
    prompt_tokens: Annotated[int, Meta(ge=0, le=1024)] = 0
    base: BaseModel | None = None
    lora: dict[NetworkName, LoraSpec] = field(default_factory=dict)
    vae_kind: Literal["kl", "tiny"] = "kl"
    vae_base: BaseModel | None = None
    latent_scale: Annotated[float, Meta(ge=1e-3, le=1e3)] | None = None

    @classmethod
    def load(cls, folder: str | Path) -> RefinerConfig:
        """Read `config.json` of a preset's folder.

        Raises:
            FileNotFoundError: the folder has no such file.
            ValueError: it has settings that no refiner knows, or values that it cannot have.
        """
        path = Path(folder) / CONFIG_NAME
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: a refiner's folder holds {CONFIG_NAME}")
        try:
            values = msgspec.json.decode(read_text_file(path), type=dict)
            config = msgspec.convert(values, cls)
        except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise ValueError(f"{path} holds no settings of a refiner: {error}") from error
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"{path} has unknown settings: {', '.join(sorted(unknown))}")
        if problem := config._problem():
            raise ValueError(f"{path}: {problem}")
        return config

    def _problem(self) -> str:
        """What of the settings does not fit together; empty if all does."""
        if self.timestep >= self.train_timesteps:
            return f"timestep is {self.timestep}; it is below train_timesteps, {self.train_timesteps}"
        if self.beta_start > self.beta_end:
            return "beta_start is above beta_end"
        for name in ("free_turn", "last_turn"):
            turns = getattr(self, name)
            if turns and not 0 <= turns[0] < turns[1] <= 180:
                return f"{name} is {turns!r}; it is two rising angles in degrees, such as [5, 15]"
        if self.head_only and not self.coordinates:
            return "head_only needs coordinates, which tell where the head is"
        if self.vae_kind == "tiny" and self.skips:
            return "skips need the full autoencoder (vae_kind 'kl'), the tiny one has none"
        for spec in self.lora.values():
            if _slow(spec.target_modules):
                return "target_modules is no regular expression, or one that may take for ever to match"
        return ""

    def save(self, folder: str | Path) -> None:
        """Write `config.json` into a folder that exists."""
        (Path(folder) / CONFIG_NAME).write_text(json.dumps(asdict(self), indent=2) + "\n")


def _slow(pattern: str) -> bool:
    """Whether a regular expression repeats a group or repeats often, by which matching may take exponential time."""
    plain = re.sub(r"\\.", "", pattern)
    if re.search(r"\)[*+{]|\{", plain) or len(re.findall(r"[*+]", plain)) > 4:
        return True
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return True
    return False


def available_presets() -> list[str]:
    """Names of the presets that ship, and of the user's own."""
    return sorted(preset_folders())


def preset_folder(name: str) -> Path:
    """The folder of a preset that ships, or of one of the user's own.

    Raises:
        ValueError: there is no such preset.
    """
    folders = preset_folders()
    if name not in folders:
        raise ValueError(f"no refiner preset is called {name!r}; there are: {', '.join(folders)}")
    return folders[name]
