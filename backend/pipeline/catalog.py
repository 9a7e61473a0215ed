"""What can be chosen by name: avatar makers, head models, refiner presets. Nothing is loaded before it is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from backend.models.diffusers_folder import read_json
from backend.models.head_models import head_models_folder
from backend.models.presets import preset_folders, shipped_presets
from backend.models.runtime import has_torch
from backend.models.sd_turbo import local_base
from backend.protocol.errors import TurboPortraitError
from backend.protocol.names import name_problem
from flame import HeadModel, default_head_path, load_head_model

if TYPE_CHECKING:
    from backend.avatars.base import Avatar, RenderedView

ReportProgress = Callable[[float, str], None]
"""Called with the fraction that is done, in [0, 1], and the stage in a few words; may raise to stop the work."""


class Maker(Protocol):
    """Makes an avatar."""

    def __call__(self, photo: bytes, model: HeadModel, progress: ReportProgress, *, face: int) -> Avatar:
        """Of the bytes of an image file; `face` as in `Register`."""


SUCCESSORS = {"relief": "bust"}
"""Makers that are no more, as files and requests may still name them, and what they get."""
_HEAD_MODEL_SUFFIXES = (".npz", ".pkl")


class Refiner(Protocol):
    """What the pipeline asks of a refiner.

    Attributes:
        size: pixels along the sides of the square views that it takes and gives.
    """

    size: int

    def encode_reference(self, image: np.ndarray, place: np.ndarray | None) -> Any:
        """What refining needs of the portrait, (size, size, 4) uint8, and its `RenderedView.place`, computed once."""

    def refine(
        self, views: Sequence[RenderedView], reference: Any, noise_level: float = 0.1, seed: int = 0
    ) -> list[np.ndarray]:
        """Views of one pose, refined together: (size, size, 3) uint8 each."""

    def refine_batch(
        self,
        samples: Sequence[Sequence[RenderedView]],
        reference: Any,
        noise_level: float = 0.1,
        seed: int = 0,
        warn: Callable[[str], None] | None = None,
    ) -> list[list[np.ndarray]]:
        """`refine` of several poses at once; `warn` is told what is not as asked."""


@dataclass(frozen=True)
class Catalog:
    """Loaders by name; a loader may be slow the first time.

    Attributes:
        makers: name -> loader of a `Maker`.
        head_models: name -> loader of a HeadModel.
        presets: name -> loader of a `Refiner`, given the device ("cpu", "cuda").
        preset_ready: whether a preset's weights are at hand.
        baked_by: the preset that bakes what it sees into new avatars' textures; empty for none.
    """

    makers: dict[str, Callable[[], Maker]]
    head_models: dict[str, Callable[[], HeadModel]]
    presets: dict[str, Callable[[str], Refiner]]
    preset_ready: Callable[[str], bool] = bool
    baked_by: str = ""

    @classmethod
    def default(cls) -> Catalog:
        """What is installed: our makers, the open head and the files in `models_folder`, the presets' folders.

        Without torch those that need it are left out.
        """
        full = has_torch()
        return cls(
            makers={name: maker for name, maker in MAKERS.items() if full or name not in NEED_TORCH},
            head_models={name: partial(load_head_model, path) for name, path in head_model_files().items()},
            presets={
                name: partial(_load_refiner, name, folder)
                for name, folder in preset_folders().items()
                if full or _is_exported(folder)
            },
            preset_ready=_weights_at_hand,
            # It is on every machine, so that every machine films the same head.
            baked_by="compact",
        )

    def maker(self, name: str) -> Maker:
        """Raises TurboPortraitError unknown_maker."""
        return _choose(self.makers, name, "unknown_maker")()

    def head_model(self, name: str) -> HeadModel:
        """Raises TurboPortraitError unknown_head_model."""
        return _choose(self.head_models, name, "unknown_head_model")()

    def refiner(self, name: str, device: str) -> Refiner:
        """Raises TurboPortraitError unknown_preset."""
        return _choose(self.presets, name, "unknown_preset")(device)


def head_model_files() -> dict[str, Path]:
    """The open head, and the user's own FLAME files by their stems."""
    files = sorted(head_models_folder().glob("[!.]*"))
    own = {path.stem: path for path in files if path.suffix in _HEAD_MODEL_SUFFIXES and not name_problem(path.stem)}
    return {**own, "open_head": default_head_path()}


def _weights_at_hand(preset: str) -> bool:
    """The preset's own weights lie in its folder, or those of the models that it builds on are on this machine."""
    folder = preset_folders().get(preset)
    # A running backend may have been told of presets that were removed or damaged since.
    if folder is None or preset_problem(preset, folder):
        return False
    config = read_json(folder / "config.json", "bad_refiner")
    if not config.get("base"):
        return _is_exported(folder) or any(folder.rglob("*.safetensors"))
    return _at_hand(config["base"], "unet/config.json") and (
        not config.get("vae_base") or _at_hand(config["vae_base"], "config.json")
    )


def preset_problem(name: str, folder: Path) -> str:
    """What is wrong with a preset's settings; empty if nothing is. Those that ship are trusted."""
    if name in shipped_presets():
        return ""
    from backend.refiner.config import RefinerConfig

    try:
        RefinerConfig.load(folder)
    except (OSError, ValueError) as error:
        return str(error)[:300]
    return ""


def _at_hand(base: dict[str, str], file: str) -> bool:
    """A base model is a local folder, is installed, or has this file in the local hub cache."""
    if Path(local_base(base["name"])).is_dir():
        return True
    if not (_hub_cache() / f"models--{base['name'].replace('/', '--')}").is_dir():
        return False
    try:
        # Its import takes most of a second.
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return False
    return isinstance(try_to_load_from_cache(base["name"], file, revision=base.get("revision")), str)


def _hub_cache() -> Path:
    """Where the hub's models are kept (huggingface.co/docs/huggingface_hub/package_reference/environment_variables)."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def _choose(options: dict[str, Any], name: str, code: str) -> Any:
    if name not in options:
        raise TurboPortraitError(code, f"{name[:60]!r}; there are: {', '.join(sorted(options)) or 'none'}")
    return options[name]


def _bust() -> Maker:
    from backend.avatars.bust import register_bust

    return register_bust


def _gpavatar() -> Maker:
    from backend.avatars.gpavatar import register_gpavatar

    return register_gpavatar


MAKERS: dict[str, Callable[[], Maker]] = {"bust": _bust, "gpavatar": _gpavatar}
"""The makers that ship; each is imported when it is asked for."""
NEED_TORCH = ("gpavatar",)


def _load_refiner(name: str, folder: Path, device: str) -> Refiner:
    # Where an extension's zip had no room for torch's weights, these do.
    if _is_exported(folder) and (device == "cpu" or not (folder / "refiner.safetensors").is_file()):
        from backend.refiner.runtime.onnx_refiner import OnnxRefiner

        return OnnxRefiner(folder).warm_up()
    from backend.refiner import Refiner as TorchRefiner

    return TorchRefiner.from_preset(name, device).warm_up()


def _is_exported(folder: Path) -> bool:
    """Whether a preset runs without torch."""
    return (folder / "onnx" / "refiner.onnx").is_file()
