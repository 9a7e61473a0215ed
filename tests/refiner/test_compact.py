"""The weights that ship."""

import numpy as np
import torch
from skimage.data import astronaut
from skimage.transform import resize

from backend.avatars.base import RenderedView
from backend.refiner import Refiner


def portrait_view() -> RenderedView:
    """A photograph as a view that nothing is sure of, its places on a plane."""
    color = np.rint(255 * resize(astronaut()[:256, 96:352], (256, 256))).astype(np.uint8)
    y, x = np.mgrid[:256, :256].astype(np.float32) / 1000 - 0.128
    return RenderedView(
        np.dstack([color, np.full((256, 256), 255, np.uint8)]),
        np.ones((256, 256), np.float32),
        np.zeros((256, 256), np.float32),
        turned=0.5,
        place=np.stack([x, -y, np.full_like(x, 0.01)], -1),
        warped=color,
    )


def test_attention_does_not_drown_in_the_residual_stream():
    """Behind normalisations the stream may grow at no cost; weights that were shipped once had let it reach 10^8."""
    refiner = Refiner.from_preset("compact")
    view, scales = portrait_view(), {}
    for name, module in refiner.unet.named_modules():
        if name.split(".")[-2:-1] == ["resnets"]:
            module.register_forward_hook(
                lambda _, inputs, output, name=name: scales.update({name: float(output.square().mean().sqrt())})
            )
    refiner.refine([view, view], refiner.encode_reference(view.rgba, view.place))
    assert len(scales) >= 10
    assert max(scales.values()) < 100, scales


def test_the_unets_work_is_seen():
    """Its result, in place of the latents that it was given, changes the pictures."""
    refiner = Refiner.from_preset("compact")
    view = portrait_view()
    refined = refiner.refine([view], refiner.encode_reference(view.rgba, view.place))[0].astype(int)
    torch.nn.init.zeros_(refiner.unet.conv_out.weight)
    idle = refiner.refine([view], refiner.encode_reference(view.rgba, view.place))[0]
    assert np.abs(refined - idle).mean() > 0.3
