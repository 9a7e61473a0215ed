"""Training on a base model of Stable Diffusion's layout: its own weights stay, the adapters are the result."""

import pytest
import torch
from msgspec.structs import replace
from safetensors.torch import load_file
from tiny_base import write_base, write_preset
from tiny_refiners import random_view

from backend.protocol.errors import TurboPortraitError
from backend.refiner import Refiner
from backend.training.config import LossConfig, SampleConfig
from backend.training.trainer import Trainer


@pytest.fixture(autouse=True)
def _own_models_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TURBOPORTRAIT_MODELS", str(tmp_path / "models"))


@pytest.fixture
def turbo(config, tmp_path):
    """turbo's losses on turbo's layout, LPIPS apart."""
    preset = write_preset(tmp_path / "preset", write_base(tmp_path / "base"))
    return replace(
        config, preset=str(preset), learning_rate=1e-2, gradient_checkpointing=True, pictures_every=1000,
        samples=SampleConfig(crop=32, portrait_view=0, dropped=0, sure_weight=1),
        loss=LossConfig(l1=0, l2=1, gradient=0, structure=0, change=0, latent=0, adversarial=0.1),
    )  # fmt: skip


def quiet(step, terms):
    pass


def test_only_the_adapters_move(turbo, tmp_path):
    trainer = Trainer(turbo)
    refiner = trainer.learner.refiner
    before = {name: value.clone() for name, value in refiner.state_dict().items()}
    trainer.run(quiet)
    moved = {name for name, value in refiner.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if "lora_" in name}
    on_disk = load_file(tmp_path / "base" / "unet" / "diffusion_pytorch_model.safetensors")
    torch.testing.assert_close(refiner.unet.get_submodule("conv_in").weight, on_disk["conv_in.weight"])


def test_the_folder_of_adapters_alone_gives_the_same_refiner(turbo):
    trainer = Trainer(turbo)
    trainer.run(quiet)
    folder = trainer.folder / "refiner"
    weights = {path.name for path in folder.rglob("*.safetensors")}
    assert weights == {"lora.safetensors", "refiner.safetensors"}
    views, portrait = [random_view(0), random_view(1)], random_view(9).rgba
    with trainer.learner.average.in_place():
        refiner = trainer.learner.refiner.eval()
        expected = refiner.refine(views, refiner.encode_reference(portrait))
    folded = Refiner.from_pretrained(folder)
    got = folded.refine(views, folded.encode_reference(portrait))
    untrained = Refiner.from_pretrained(turbo.preset)
    raw = untrained.refine(views, untrained.encode_reference(portrait))
    for a, b, c in zip(got, expected, raw, strict=True):
        assert abs(a.astype(int) - b).max() <= 1
        assert abs(a.astype(int) - c).max() > 3


def test_a_second_stage_trains_the_first_ones_adapters_on(turbo, tmp_path):
    first = Trainer(turbo)
    first.run(quiet)
    second = Trainer(replace(turbo, folder=str(tmp_path / "second"), initial=str(first.folder / "refiner")))
    assert second.learner.trained.keys() == first.learner.trained.keys()
    for name, value in first.learner.average.values.items():
        torch.testing.assert_close(second.learner.trained[name].data, value)


def test_a_checkpoint_holds_the_adapters_and_not_the_base(turbo):
    trainer = Trainer(turbo)
    trainer.run(quiet, minutes=0.0)
    state = torch.load(trainer.folder / "checkpoint.pt", weights_only=True)
    assert all("lora_" in name for name in (*state["refiner"], *state["average"]))


def test_a_stage_of_another_preset_is_not_continued(turbo, config, tmp_path):
    first = Trainer(turbo)
    first.run(quiet, minutes=0.0)
    with pytest.raises(TurboPortraitError, match="not of the preset") as caught:
        Trainer(replace(config, folder=str(tmp_path / "other"), initial=str(first.folder / "refiner")))
    assert caught.value.code == "training_weights"
