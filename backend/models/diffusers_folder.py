"""A network of diffusers on disk: its config compared with its tensors' names and shapes, without reading weights."""

from __future__ import annotations

import json
from pathlib import Path

from backend.models.folder_files import read_text_file
from backend.models.tensors import read_shapes
from backend.protocol.errors import TurboPortraitError

MAX_BLOCKS, MAX_LAYERS, MAX_NUMBER = 16, 32, 1e6
"""What a network's config may hold: entries in a list, layers in a block, any other number."""
_CLASSES = {"unet": ("UNet2DConditionModel",), "vae": ("AutoencoderKL", "AutoencoderTiny")}


def check_network(folder: Path, part: str, code: str) -> list[Path]:
    """Check one network, `unet` or `vae`, of a folder in diffusers' layout.

    Returns:
        Its files: the config, then the weights.

    Raises:
        TurboPortraitError: of the given code: the config or the weights are missing, of another architecture, or the
            weights are not those of the config.
    """
    config = read_json(folder / part / "config.json", code)
    name = config.get("_class_name")
    if name not in _CLASSES[part]:
        raise TurboPortraitError(code, f"its {part} is {str(name)[:60]}, not {' or '.join(_CLASSES[part])}")
    weights = sorted((folder / part).glob("*.safetensors"))
    if not weights:
        raise TurboPortraitError(code, f"{part} has no .safetensors file")
    given, expected = read_shapes(weights, code), _shapes(name, config, code, part)
    odd = sorted(set(given.items()) ^ set(expected.items()))
    if odd:
        raise TurboPortraitError(
            code, f"the weights of its {part} are not those of its config, for instance {odd[0][0]} {odd[0][1]}"
        )
    return [folder / part / "config.json", *weights]


def read_json(path: Path, code: str) -> dict:
    """A small JSON file with an object.

    Raises:
        TurboPortraitError: of the given code.
    """
    try:
        content = json.loads(read_text_file(path))
    except (OSError, ValueError, RecursionError) as error:
        where = path.relative_to(path.parents[1])
        raise TurboPortraitError(code, f"{where} cannot be read: {str(error)[:200]}") from error
    if not isinstance(content, dict):
        raise TurboPortraitError(code, f"{path.name} holds no settings")
    return content


def _shapes(name: str, config: dict, code: str, part: str) -> dict[str, tuple[int, ...]]:
    import diffusers
    import torch

    _check_bounds(config, code, part)
    kind = getattr(diffusers, name)
    try:
        # On the meta device nothing is allocated, however large the config says that the network is.
        with torch.device("meta"):
            network = kind.from_config(config)
    except Exception as error:  # whatever diffusers makes of settings that do not fit together
        raise TurboPortraitError(code, f"the config of its {part} makes no network: {str(error)[:200]}") from error
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def _check_bounds(config: dict, code: str, part: str) -> None:
    """Refuse settings of which a network of any number of modules would be made before its weights are compared."""
    left: list[tuple[str, object]] = list(config.items())
    while left:
        key, value = left.pop()
        if isinstance(value, list) and len(value) <= MAX_BLOCKS:
            left += [(key, entry) for entry in value]
        elif isinstance(value, int | float) and abs(value) <= (MAX_LAYERS if "layers" in key else MAX_NUMBER):
            pass
        elif not (value is None or isinstance(value, str)):
            raise TurboPortraitError(code, f"the config of its {part} makes no network: {key[:60]} is out of bounds")
