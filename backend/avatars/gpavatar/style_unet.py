"""The style U-Net: a U-Net whose features steer a StyleGAN2 decoder (GPAvatar; after GFP-GAN, Wang et al. 2021).

It makes tri-planes of a portrait, and pictures of feature images. Parameter names are those of the published
checkpoint, so that it loads as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu

SLOPE = 0.2
"""Of every leaky ReLU."""
RANGE_MARGIN = 0.001
"""Colours reach this far beyond [0, 1], so that the sigmoid can reach both ends."""


def _channels(size: int, width: float) -> int:
    """Channels of the U-Net at a resolution: 256 up to 32 pixels, then half as many at every doubling."""
    return max(4, int(width * min(256, 8192 // size)))


def _levels(size: int) -> int:
    if size < 8 or size & (size - 1):
        raise ValueError(f"sizes are powers of two from 8 on, not {size}")
    return size.bit_length() - 1


def _resize(x: Tensor, factor: float) -> Tensor:
    return interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def widen_colours(x: Tensor) -> Tensor:
    """[0, 1] to [-RANGE_MARGIN, 1 + RANGE_MARGIN]."""
    return x * (1 + 2 * RANGE_MARGIN) - RANGE_MARGIN


class ResidualBlock(nn.Module):
    """Two convolutions with a bilinear change of resolution between them, beside a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, factor: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, factor H, factor W)."""
        residual = _resize(leaky_relu(self.conv1(x), SLOPE), self.factor)
        return leaky_relu(self.conv2(residual), SLOPE) + self.skip(_resize(x, self.factor))


class ModulatedConvolution(nn.Module):
    """A convolution whose input channels a style scales, and whose output is normalised by it (StyleGAN2)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, style: int, demodulate: bool) -> None:
        super().__init__()
        self.demodulate = demodulate
        self.modulation = nn.Linear(style, inputs)
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel) / (inputs * kernel**2) ** 0.5)
        nn.init.kaiming_normal_(self.modulation.weight, nonlinearity="linear")
        nn.init.ones_(self.modulation.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N, style) to (N, outputs, H, W)."""
        scale = self.modulation(style)
        # Scaling the input instead of the weight lets all images share one convolution; in float32, since the
        # normalisation's squares overflow half precision.
        result = conv2d(x * scale[:, :, None, None], self.weight[0], padding=self.weight.shape[-1] // 2)
        if self.demodulate:
            power = self.weight[0].float().square().sum((2, 3))
            norm = torch.rsqrt(scale.float().square() @ power.T + 1e-8)
            result = result * norm.to(result.dtype)[:, :, None, None]
        return result


class StyledConvolution(nn.Module):
    """A modulated 3x3 convolution, then noise, bias and leaky ReLU; `upsample` doubles the resolution first."""

    def __init__(self, inputs: int, outputs: int, style: int, upsample: bool) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConvolution(inputs, outputs, 3, style, demodulate=True)
        self.upsample = upsample
        self.weight = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        if self.upsample:
            x = _resize(x, 2)
        x = self.modulated_conv(x, style) * 2**0.5
        return leaky_relu(x + self.weight * noise + self.bias, SLOPE)


class ToOutput(nn.Module):
    """A modulated 1x1 convolution whose result is added to the one of the resolution before."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConvolution(inputs, outputs, 1, style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))

    def forward(self, x: Tensor, style: Tensor, before: Tensor | None = None) -> Tensor:
        result = self.modulated_conv(x, style) + self.bias
        return result if before is None else result + _resize(before, 2)


class _StyleNormalisation(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        mean_square = x.float().square().mean(1, keepdim=True)
        return x * torch.rsqrt(mean_square + 1e-8).to(x.dtype)


class _LearnedConstant(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, channels, 4, 4))


class _Noises(nn.Module):
    """The noise images of the checkpoint, one per styled convolution."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        for index, size in enumerate(sizes):
            self.register_buffer(f"noise{index}", torch.randn(1, 1, size, size))


class StyleDecoder(nn.Module):
    """StyleGAN2's generator with feature maps that are scaled and shifted by the U-Net's conditions."""

    def __init__(self, size: int, outputs: int, style: int, width: float, layers: int = 8) -> None:
        super().__init__()
        stages: list[nn.Module] = [_StyleNormalisation()]
        for _ in range(layers):
            stages += [nn.Linear(style, style), nn.LeakyReLU(SLOPE)]
        self.style_mlp = nn.Sequential(*stages)
        channels = 2 * _channels(4, width)
        self.constant_input = _LearnedConstant(channels)
        self.style_conv1 = StyledConvolution(channels, channels, style, upsample=False)
        self.to_rgb1 = ToOutput(channels, outputs, style)
        self.style_convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        self.noise_sizes = [4]
        for level in range(3, _levels(size) + 1):
            narrower = 2 * _channels(2**level, width)
            self.style_convs.append(StyledConvolution(channels, narrower, style, upsample=True))
            self.style_convs.append(StyledConvolution(narrower, narrower, style, upsample=False))
            self.to_rgbs.append(ToOutput(narrower, outputs, style))
            self.noise_sizes += [2**level] * 2
            channels = narrower
        self.noises = _Noises(self.noise_sizes)

    def stored_noise(self) -> list[Tensor]:
        """The checkpoint's noise images (1, 1, S, S)."""
        return list(self.noises.buffers())

    def drawn_noise(self, batch: int, generator: torch.Generator | None = None) -> list[Tensor]:
        """Fresh noise (N, 1, S, S) for each layer, as the published code draws it at every call; on the CPU."""
        return [torch.randn(batch, 1, size, size, generator=generator) for size in self.noise_sizes]

    def forward(self, style: Tensor, conditions: Sequence[tuple[Tensor, Tensor]], noise: Sequence[Tensor]) -> Tensor:
        style = self.style_mlp(style)
        x = self.style_conv1(self.constant_input.weight.expand(len(style), -1, -1, -1), style, noise[0])
        result = self.to_rgb1(x, style)
        for level, (scale, shift) in enumerate(conditions):
            up, same = self.style_convs[2 * level : 2 * level + 2]
            x = up(x, style, noise[2 * level + 1]) * scale + shift
            x = same(x, style, noise[2 * level + 2])
            result = self.to_rgbs[level](x, style, result)
        return result


class StyleUNet(nn.Module):
    """Images (N, inputs, S, S) to images (N, outputs, T, T), S at most 2 T.

    Args:
        in_size: S as trained; smaller images than T are enlarged to T first.
        out_size: T.
        inputs, outputs: channels.
        style: length of the style code.
        width: multiplies the channels.
        colours: squash the result into [0, 1] (a picture), or leave it as it is (features).
    """

    def __init__(
        self, in_size: int, out_size: int, inputs: int, outputs: int, style: int = 512, width: float = 1.0,
        colours: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if in_size > 2 * out_size:
            raise ValueError(f"an input of {in_size} pixels is more than twice the output's {out_size}")
        levels = range(3, _levels(out_size) + 1)
        self.out_size, self.colours = out_size, colours
        first = _channels(out_size, width)
        self.conv_body_first: nn.Conv2d | nn.ModuleList
        if in_size <= out_size:
            self.conv_body_first = nn.Conv2d(inputs, first, 1)
        else:
            wide = _channels(in_size, width)
            self.conv_body_first = nn.ModuleList([nn.Conv2d(inputs, wide, 1), ResidualBlock(wide, first, 0.5)])
        sizes = [2**level for level in levels]
        widths = [_channels(size, width) for size in sizes]
        self.conv_body_down = nn.ModuleList(
            ResidualBlock(widths[i], widths[i - 1] if i else _channels(4, width), 0.5)
            for i in reversed(range(len(sizes)))
        )
        bottom = _channels(4, width)
        self.final_conv = nn.Conv2d(bottom, bottom, 3, padding=1)
        self.conv_body_up = nn.ModuleList(
            ResidualBlock(a, b, 2) for a, b in zip([bottom, *widths[:-1]], widths, strict=True)
        )
        # The published checkpoint holds these; the forward pass never used them.
        self.toRGB = nn.ModuleList(nn.Conv2d(channels, 3, 1) for channels in widths)
        self.final_linear = nn.Linear(bottom * 16, style)
        self.stylegan_decoder = StyleDecoder(out_size, outputs, style, width)
        self.condition_scale = nn.ModuleList(map(_condition, widths))
        self.condition_shift = nn.ModuleList(map(_condition, widths))

    def forward(self, x: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """`noise`: one image per styled convolution, see `StyleDecoder`; the checkpoint's own if None."""
        if x.shape[-1] < self.out_size:
            x = interpolate(x, (self.out_size, self.out_size), mode="bilinear", align_corners=False)
        if isinstance(self.conv_body_first, nn.Conv2d):
            feature = leaky_relu(self.conv_body_first(x), SLOPE)
        else:
            widen, shrink = self.conv_body_first
            feature = shrink(leaky_relu(widen(x), SLOPE))
        skips = []
        for block in self.conv_body_down:
            feature = block(feature)
            skips.append(feature)
        feature = leaky_relu(self.final_conv(feature), SLOPE)
        style = self.final_linear(feature.flatten(1))
        conditions = []
        for block, to_scale, to_shift in zip(
            self.conv_body_up, self.condition_scale, self.condition_shift, strict=True
        ):
            feature = block(feature + skips.pop())
            conditions.append((to_scale(feature), to_shift(feature)))
        if noise is None:
            noise = self.stylegan_decoder.stored_noise()
        result = self.stylegan_decoder(style, conditions, noise)
        return widen_colours(torch.sigmoid(result)) if self.colours else result


def _condition(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
    )
