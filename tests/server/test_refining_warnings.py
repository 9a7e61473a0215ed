"""What refining could not do reaches the client as a sentence, with the raw picture instead of a black one."""

import numpy as np
import pytest
import torch
from little_head import PORTRAIT, Brighten, little_catalog, photo

from backend.pipeline import Pipeline
from backend.protocol.errors import TurboPortraitError
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import View
from backend.refiner import Refiner
from backend.refiner.config import preset_folder

VIEWS = (View("front", PORTRAIT),)


@pytest.fixture
def rendered(serve, connect):
    """rendered(refiner) -> the outcome of one render through a server with this refiner."""

    def make(refiner):
        client = connect(serve(Pipeline(little_catalog(refiner), device="cpu")).endpoint)
        avatar = client.register(photo(), maker="little").avatar
        return client.render(avatar, HeadParameters(), VIEWS)

    return make


def test_a_network_that_gives_no_numbers_leaves_the_raw_view_and_says_so(rendered):
    refiner = Refiner.from_config(preset_folder("compact"))
    torch.nn.init.constant_(refiner.vae.decoder.conv_out.bias, float("nan"))
    refiner.prepare()
    outcome = rendered(refiner)
    assert np.array_equal(outcome.refined["front"].rgba, outcome.raw["front"].rgba)
    assert outcome.raw["front"].rgba[..., :3].max() > 0
    assert [text.split(",")[0] for text in outcome.warnings] == ["1 of 1 views could not be refined"]


def test_what_went_well_carries_no_warning(rendered):
    assert rendered(Brighten()).warnings == ()


def test_a_refiner_that_does_not_fit_is_an_error_with_a_name():
    catalog = little_catalog()

    def load(device):
        raise ValueError("the unet of X is of another architecture")

    catalog.presets["compact"] = load
    with pytest.raises(TurboPortraitError, match="of another architecture") as caught:
        Pipeline(catalog, device="cpu").check_preset("compact")
    assert caught.value.code == "bad_refiner"
