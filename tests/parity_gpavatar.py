"""Is our GPAvatar the published function? Fill it by a rule, compare with what the published code gave.

    python tests/parity_gpavatar.py DIR SALT

DIR holds `state_dict.json`, `vectors.npz` and a README that states the rule; SALT stands in place of the README's
"public:". Prints the relative error of every key and exits with 1 where one is beyond its tolerance.
"""

from __future__ import annotations

import json
import math
import sys
import zlib
from pathlib import Path

import numpy as np
import torch

if __name__ == "__main__":
    # Python puts this file's folder first, where tests/flame would stand before the package flame.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from backend.avatars.gpavatar.config import GPAvatarConfig
from backend.avatars.gpavatar.network import GPAvatarNetwork
from backend.avatars.gpavatar.volume import published_depth, published_rays, render_rays

TOLERANCE = 1e-3
DISTANCE_TOLERANCE = 1e-2
"""Of what hangs on nearest-point distances, which float32 blurs."""
ON_DISTANCES = {"densities", "features", "coarse", "fine", "depth"}
SCALED_TO_ONE = ("modulation.bias", "to_q_.0.weight", "to_k_.0.weight")
AS_DRAWN = ("points_feature", ".noises.", "constant_input")


def rule_tensor(name: str, shape: list[int], salt: str) -> torch.Tensor:
    """The tensor that the vectors' README gives a name and a shape."""
    x = np.random.RandomState(zlib.crc32((salt + name).encode())).standard_normal(shape).astype(np.float32)
    if name == "attn_module.scale":
        x = np.array([32**-0.5])
    elif name.endswith("query_style_tplane") or any(part in name for part in AS_DRAWN):
        pass
    elif name.endswith("density_layers.0.bias"):
        x = np.full(shape, 2.0)
    elif len(shape) == 5:
        x = x / math.sqrt(math.prod(shape[2:]))
    elif len(shape) >= 2:
        x = x / math.sqrt(math.prod(shape[1:]))
    elif name.endswith(SCALED_TO_ONE):
        x = np.ones(shape)
    else:
        x = 0.1 * x
    return torch.from_numpy(x.astype(np.float32))


def rule_input(tag: str, shape: tuple[int, ...], salt: str, uniform: bool = False) -> torch.Tensor:
    """An input as the vectors' README gives it."""
    random = np.random.RandomState(zlib.crc32((salt + "input:" + tag).encode()))
    x = random.random_sample(shape) if uniform else random.standard_normal(shape)
    return torch.from_numpy(x.astype(np.float32))


def rule_network(folder: Path, salt: str) -> GPAvatarNetwork:
    """The network filled by the rule."""
    shapes = json.loads((folder / "state_dict.json").read_text())
    with torch.device("meta"):
        network = GPAvatarNetwork(GPAvatarConfig())
    network.load_state_dict({name: rule_tensor(name, s, salt) for name, s in shapes.items()}, assign=True)
    return network.eval().requires_grad_(False)


def rule_points(salt: str) -> torch.Tensor:
    """(1, 5023, 3), a cloud of the vectors' size."""
    return rule_input("points", (1, 5023, 3), salt) * torch.tensor([0.35, 0.45, 0.4])


@torch.inference_mode()
def results(network: GPAvatarNetwork, vectors: dict[str, np.ndarray], salt: str) -> dict[str, torch.Tensor]:
    """What our network gives for each key of the vectors, but for the pose, which is an input."""
    found = {}
    planes = network.encode(rule_input("portrait", (1, 3, 512, 512), salt, uniform=True))
    found["planes_sample"] = planes[0, :, :, ::16, ::16]
    found["planes_mean"] = planes.mean((-2, -1))[None]
    merged = network.merge(planes)
    found["merged_sample"] = merged[:, :, ::16, ::16]
    second = rule_input("second", (1, 1, 3, 32, 256, 256), salt)[0]
    found["merged_two_sample"] = network.merge(torch.cat([planes, second]))[:, :, ::16, ::16]

    points, field = rule_points(salt), network.nerf_mlp
    coords = rule_input("coords", (1, 2048, 3), salt, uniform=True) * 2.2 - 1.1
    found["densities"], found["features"] = field(coords, rule_input("dirs", (1, 2048, 3), salt), points, merged[None])

    size = vectors["coarse"].shape[-1]
    rays = published_rays(torch.from_numpy(vectors["pose"]), size, network.config.focal_length)
    rendering = render_rays(rays, lambda x, d: field(x, d, points, merged[None]), 32, 32)
    for key, values in (
        ("coarse", rendering.coarse),
        ("fine", rendering.features),
        ("depth", published_depth(rendering)),
    ):
        found[key] = values.transpose(1, 2).unflatten(-1, (size, size))

    upsampled = network.picture(rule_input("upsample", (1, 32, 128, 128), salt, uniform=True))
    found["upsampled_sample"] = upsampled[0, :, ::8, ::8]
    found["upsampled_mean"] = upsampled.mean((-2, -1))
    return found


def relative_errors(folder: Path, salt: str) -> dict[str, tuple[float, float]]:
    """Per key the relative error, |ours - theirs| / |theirs|, and its tolerance."""
    with np.load(folder / "vectors.npz", allow_pickle=False) as file:
        vectors = dict(file)
    errors = {}
    for key, ours in results(rule_network(folder, salt), vectors, salt).items():
        theirs = torch.from_numpy(vectors[key]).double()
        if ours.shape != theirs.shape:
            raise ValueError(f"{key} is {tuple(ours.shape)}, the vectors have {tuple(theirs.shape)}")
        error = (ours.double() - theirs).norm() / theirs.norm()
        errors[key] = error.item(), DISTANCE_TOLERANCE if key in ON_DISTANCES else TOLERANCE
    missing = set(vectors) - set(errors) - {"pose"}
    if missing:
        raise ValueError(f"the vectors have keys that are not compared: {', '.join(sorted(missing))}")
    return errors


def main() -> None:
    """The program; see the module's text."""
    if len(sys.argv) != 3 or not (Path(sys.argv[1]) / "vectors.npz").is_file():
        sys.exit(__doc__)
    beyond = False
    for key, (error, tolerance) in relative_errors(Path(sys.argv[1]), sys.argv[2]).items():
        # A NaN is beyond too.
        bad = not error <= tolerance
        beyond |= bad
        print(f"{key:18} {error:.2e} of at most {tolerance:.0e}{'  BEYOND' if bad else ''}")
    sys.exit(beyond)


if __name__ == "__main__":
    main()
