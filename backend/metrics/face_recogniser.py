"""dlib's face recogniser as a torch network: what tells people apart, with a gradient.

The network is King's `dnn_face_recognition_ex` (dlib, 2017): a residual network of 29 convolutions over face chips of
150x150. Its weights come with the PyPI package face_recognition_models, in dlib's own serialisation, of which only the
tensors are read: numbers of a fixed count at places that the layers' names mark.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, max_pool2d, pad, relu

from backend.protocol.errors import TurboPortraitError

FILE = Path("models", "dlib_face_recognition_resnet_model_v1.dat")
CHIP = 150
"""Pixels, the side of what it was trained on: brows to chin are 90 of them, a little below the middle."""
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Width, blocks, whether the first of them halves the picture."""
MEAN = (122.782, 117.001, 104.298)
EMBEDDING = 128
_HEADER = b"\x01\x02"
"""Before a tensor: the version of its serialisation, 2, as one byte."""


def weights_file() -> Path | None:
    """Where the package face_recognition_models has the weights; None without it."""
    # Found, not imported: the package needs setuptools to be imported.
    package = importlib.util.find_spec("face_recognition_models")
    return None if package is None or package.origin is None else Path(package.origin).parent / FILE


class FaceRecogniser(nn.Module):
    """Faces to embeddings; all its weights are frozen."""

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.entry = _Convolution(3, 32, 7, 2)
        stages, channels = [], 32
        for width, blocks, halved in STAGES:
            stage = [_Block(channels if k == 0 else width, width, halved and k == 0) for k in range(blocks)]
            stages.append(nn.Sequential(*stage))
            channels = width
        self.stages = nn.ModuleList(stages)
        self.embedding = nn.Linear(channels, EMBEDDING, bias=False)
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, path: Path) -> FaceRecogniser:
        """With dlib's weights.

        Raises:
            TurboPortraitError: `training_weights`: the file is not what it should be.
        """
        network, reader = cls(), _Tensors(path)
        for convolution in network.modules():
            if isinstance(convolution, _Convolution):
                convolution.fill(reader.next(b"con_4"), reader.next(b"affine_"))
        weights = reader.next(b"fc_2").reshape(-1, EMBEDDING)
        network.embedding.weight.copy_(torch.from_numpy(weights.T))
        return network

    def features(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """What each stage sees, (N, C, h, w), in pictures (N, 3, H, W) in [-1, 1]."""
        hidden = ((pictures + 1) * 127.5 - self.mean) / 256
        hidden = max_pool2d(relu(self.entry(hidden)), 3, 2)
        seen = []
        for stage in self.stages:
            hidden = stage(hidden)
            seen.append(hidden)
        return seen

    def embed(self, features: list[torch.Tensor]) -> torch.Tensor:
        """(N, 128) of `features` of chips; dlib calls faces one person's if they are nearer than 0.6."""
        return self.embedding(features[-1].mean((2, 3)))


class _Convolution(nn.Module):
    """A convolution and what is left of its batch normalisation: a factor and an offset for each channel."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2 if stride == 1 else 0)

    def fill(self, filters: np.ndarray, affine: np.ndarray) -> None:
        """Take dlib's numbers: filters and then biases; factors and then offsets."""
        width = self.convolution.out_channels
        if filters.size != self.convolution.weight.numel() + width or affine.size != 2 * width:
            raise TurboPortraitError("training_weights", "the face recogniser's file holds another network")
        factor, offset = torch.from_numpy(affine).split(width)
        weight, bias = torch.from_numpy(filters).split([filters.size - width, width])
        weight = weight.reshape_as(self.convolution.weight) * factor[:, None, None, None]
        self.convolution.load_state_dict({"weight": weight, "bias": bias * factor + offset})

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.convolution(hidden)


class _Block(nn.Module):
    """dlib's `ares` and `ares_down`: where sizes differ, what is missing counts as zero."""

    def __init__(self, channels: int, width: int, halved: bool) -> None:
        super().__init__()
        self.halved = halved
        self.first = _Convolution(channels, width, 3, 2 if halved else 1)
        self.second = _Convolution(width, width, 3, 1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        changed = self.second(relu(self.first(hidden)))
        if self.halved:
            hidden = avg_pool2d(hidden, 2)
        sizes = [max(a, b) for a, b in zip(changed.shape[1:], hidden.shape[1:], strict=True)]
        return relu(_padded(changed, sizes) + _padded(hidden, sizes))


def _padded(hidden: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    channels, height, width = (size - have for size, have in zip(sizes, hidden.shape[1:], strict=True))
    return pad(hidden, (0, width, 0, height, 0, channels))


class _Tensors:
    """The tensors of a file in dlib's serialisation, in their order: the network's input comes first."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0
        try:
            self._data = path.read_bytes()
        except OSError as error:
            raise TurboPortraitError("training_weights", str(error)) from error

    def next(self, layer: bytes) -> np.ndarray:
        """The numbers of the next layer of that name, flat, float32."""
        name = bytes([1, len(layer)]) + layer
        found = self._data.find(name, self._at)
        start = self._data.find(_HEADER, found + len(name)) if found >= 0 else -1
        if start < 0:
            raise self._damaged(f"a layer {layer.decode()} is missing")
        self._at, count = start + len(_HEADER), 1
        for _ in range(4):
            count *= self._whole_number()
        numbers = self._data[self._at : self._at + 4 * count]
        if len(numbers) < 4 * count:
            raise self._damaged("it ends too early")
        self._at += 4 * count
        return np.frombuffer(numbers, "<f4").copy()

    def _whole_number(self) -> int:
        """dlib's: how many bytes, then these, the lowest first."""
        length = self._data[self._at] if self._at < len(self._data) else 0
        if not 1 <= length <= 4:
            raise self._damaged("a size is not a number")
        self._at += 1 + length
        return int.from_bytes(self._data[self._at - length : self._at], "little")

    def _damaged(self, why: str) -> TurboPortraitError:
        return TurboPortraitError("training_weights", f"{self._path} does not hold dlib's face recogniser: {why}")
