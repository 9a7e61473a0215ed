"""FLIP as a loss: how different two pictures look when they are shown in turns (Andersson et al. 2020, LDR-FLIP).

It needs no weights, so it stands in for a photo network where none is at hand. The same numbers as the package that the
tables use (`flip-evaluator`), up to `SMOOTH`: roots have no gradient at zero, so each is taken a little beside it.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import conv2d, pad

PIXELS_PER_DEGREE = 0.7 * 3840 / 0.7 * math.pi / 180
"""An eye 0.7 m before a display 0.7 m and 3840 pixels wide."""
TO_XYZ = (
    (0.41238656, 0.35759149, 0.18045049),
    (0.21263682, 0.71518298, 0.07218020),
    (0.01933062, 0.11919716, 0.95037259),
)
"""Linear sRGB to XYZ (D65), the white of which is (0.950428, 1, 1.088900)."""
SENSITIVITY = (((1.0, 0.0047), (0.0, 1.0)), ((1.0, 0.0053), (0.0, 1.0)), ((34.1, 0.04), (13.5, 0.025)))
"""Per opponent channel the amplitudes and widths of the two Gaussians that are the eye's sensitivity to contrast."""
COLOR_POWER, KNEE, KNEE_VALUE = 0.7, 0.4, 0.95
FEATURE_POWER, FEATURE_DEGREES = 0.5, 0.082
SMOOTH = 1e-3


class Flip(nn.Module):
    """FLIP per pixel."""

    to_xyz: torch.Tensor
    from_xyz: torch.Tensor
    shares: torch.Tensor
    gaussians: torch.Tensor
    profiles: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        matrix = torch.tensor(TO_XYZ, dtype=torch.float64)
        over_white = matrix / matrix.sum(1, keepdim=True)
        self.register_buffer("to_xyz", over_white.float(), persistent=False)
        self.register_buffer("from_xyz", over_white.inverse().float(), persistent=False)
        for name, value in zip(("shares", "gaussians"), _sensitivity(), strict=True):
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("profiles", _feature_profiles(), persistent=False)
        green, blue = (self._perceived(torch.eye(3)[c].reshape(1, 3, 1, 1)) for c in (1, 2))
        self.largest = float(_color_difference(green, blue))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """(N, 1, H, W) in [0, 1] of pictures (N, 3, H, W) of sRGB in [0, 1]."""
        a, b = (self._opponent(_linear(x.clamp(0, 1))) for x in (a, b))
        color = _color_difference(*(self._perceived(self._seen(x)) for x in (a, b)))
        knee = KNEE * self.largest
        above = KNEE_VALUE + (color - knee) / (self.largest - knee) * (1 - KNEE_VALUE)
        color = torch.where(color < knee, KNEE_VALUE / knee * color, above)
        return (color + SMOOTH).pow(1 - self._feature_difference(a, b))

    def _mixed(self, matrix: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("ij,njhw->nihw", matrix, x)

    def _opponent(self, linear: torch.Tensor) -> torch.Tensor:
        """Linear RGB to YCxCz: CIELAB's axes without its cube roots, so that light still adds."""
        return _differences(self._mixed(self.to_xyz, linear))

    def _seen(self, opponent: torch.Tensor) -> torch.Tensor:
        """What the eye resolves, as linear RGB."""
        each = opponent.repeat_interleave(len(self.gaussians) // 3, 1)
        across = _profiled(each, self.gaussians[:, None, None], len(each[0]))
        blurred = _profiled(across, self.gaussians[:, None, :, None], len(each[0]))
        blurred = (blurred * self.shares[:, None, None]).unflatten(1, (3, -1)).sum(2)
        y = (blurred[:, :1] + 16) / 116
        xyz = torch.cat([y + blurred[:, 1:2] / 500, y, y - blurred[:, 2:] / 200], 1)
        return self._mixed(self.from_xyz, xyz).clamp(0, 1)

    def _perceived(self, linear: torch.Tensor) -> torch.Tensor:
        """Linear RGB to CIELAB, paler in the dark (the Hunt effect)."""
        xyz = self._mixed(self.to_xyz, linear)
        delta = 6 / 29
        root = xyz.clamp_min(delta**3).pow(1 / 3)
        lab = _differences(torch.where(xyz > delta**3, root, xyz / (3 * delta**2) + 4 / 29))
        return torch.cat([lab[:, :1], lab[:, 1:] * (0.01 * lab[:, :1])], 1)

    def _feature_difference(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """(N, 1, H, W) in [0, 1]: of edges and points in the luminance."""
        smooth, edge, point = range(3)
        strengths = []
        for opponent in (a, b):
            across = _profiled((opponent[:, :1] + 16) / 116, self.profiles[:, None, None])
            down = self.profiles[[edge, smooth, point, smooth]][:, None, :, None]
            found = _profiled(across[:, [smooth, edge, smooth, point]], down, 4).unflatten(1, (2, 2))
            strengths.append((found.square().sum(2) + SMOOTH**2).sqrt())
        difference = (strengths[0] - strengths[1]).abs().amax(1, keepdim=True) / 2**0.5
        return _power(difference, FEATURE_POWER)


def _linear(srgb: torch.Tensor) -> torch.Tensor:
    return torch.where(srgb > 0.04045, ((srgb.clamp_min(0.04045) + 0.055) / 1.055).pow(2.4), srgb / 12.92)


def _differences(xyz: torch.Tensor) -> torch.Tensor:
    """Lightness, red against green, yellow against blue of XYZ over white, (N, 3, H, W) both."""
    x, y, z = xyz.split(1, 1)
    return torch.cat([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def _color_difference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """HyAB: in lightness and in chroma, added; raised to a power, for large ones are told apart less well."""
    difference = a - b
    chroma = (difference[:, 1:].square().sum(1, keepdim=True) + SMOOTH**2).sqrt() - SMOOTH
    return _power(difference[:, :1].abs() + chroma, COLOR_POWER)


def _power(x: torch.Tensor, power: float) -> torch.Tensor:
    return (x + SMOOTH).pow(power) - SMOOTH**power


def _profiled(x: torch.Tensor, kernel: torch.Tensor, groups: int = 1) -> torch.Tensor:
    """x (N, C, H, W) with kernels (C', 1, 1 or k, 1 or k), its edges continued."""
    down, across = (k // 2 for k in kernel.shape[2:])
    return conv2d(pad(x, [across, across, down, down], "replicate"), kernel, groups=groups)


def _sensitivity() -> tuple[torch.Tensor, torch.Tensor]:
    """For each opponent channel so many Gaussians, one after the other: their shares (3 n,) and profiles (3 n, k)."""
    widest = max(width for channel in SENSITIVITY for size, width in channel if size)
    radius = math.ceil(3 * math.sqrt(widest / (2 * math.pi**2)) * PIXELS_PER_DEGREE)
    degrees = torch.arange(-radius, radius + 1) / PIXELS_PER_DEGREE
    shares: list[torch.Tensor] = []
    profiles: list[torch.Tensor] = []
    for channel in SENSITIVITY:
        gaussians = [torch.exp(-(math.pi**2) / width * degrees**2) for _, width in channel]
        sizes = [size * math.sqrt(math.pi / width) for size, width in channel]
        weights = torch.stack([size * gaussian.sum() ** 2 for size, gaussian in zip(sizes, gaussians, strict=True)])
        shares.append(weights / weights.sum())
        profiles.extend(gaussian / gaussian.sum() for gaussian in gaussians)
    return torch.cat(shares), torch.stack(profiles)


def _feature_profiles() -> torch.Tensor:
    """(3, k): a Gaussian, its slope (edges), its curvature (points); what is below zero sums to -1, above it to 1."""
    sigma = 0.5 * FEATURE_DEGREES * PIXELS_PER_DEGREE
    radius = math.ceil(3 * sigma)
    x = torch.arange(-radius, radius + 1.0)
    smooth = torch.exp(-(x**2) / (2 * sigma**2))
    edge, point = -x * smooth, (x**2 / sigma**2 - 1) * smooth
    halves = [torch.where(k < 0, k / -k.clamp(max=0).sum(), k / k.clamp(min=0).sum()) for k in (edge, point)]
    return torch.stack([smooth / smooth.sum(), *halves])
