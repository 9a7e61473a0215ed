"""The sizes of a GPAvatar network; the defaults are the published ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GPAvatarConfig:
    """Sizes (GPAvatar, arXiv 2401.10215, and its published repository's one_model.py, commit 3ca7d44).

    Attributes:
        points: of the head model; each has a learned feature.
        neighbours: K, how many nearest points a sample sees.
        channels: of the planes, the point features and the rendered feature image.
        portrait_size: pixels, the side of the square portraits that go in.
        plane_size: of the tri-planes.
        render_size: rays along the sides of the feature image.
        image_size: pixels of the picture that comes out.
        coarse_samples, fine_samples: per ray.
        style_features: length of the style code.
        width: multiplies the channel counts of the style U-Nets; 1 is the published network.
        head_scale: metres to the box [-1, 1]^3.
        focal_length: of the trained framing, in units of half the image's side.
    """

    points: int = 5023
    neighbours: int = 8
    channels: int = 32
    portrait_size: int = 512
    plane_size: int = 256
    render_size: int = 128
    image_size: int = 512
    coarse_samples: int = 32
    fine_samples: int = 32
    style_features: int = 512
    width: float = 1.0
    head_scale: float = 5.0
    focal_length: float = 12.0
