"""The refiner's bench measures what it says: our form and the plain one are one function, and the work is counted."""

import json
import subprocess
import sys

import pytest
import torch
from tiny_base import write_preset
from tiny_refiners import SIZE, random_view, tiny_refiner
from typer.testing import CliRunner

from backend.bench.plain_refiner import PlainRefiner
from backend.bench.work import refining_flop
from backend.commands.bench import app
from backend.refiner import Refiner
from backend.refiner.config import LoraSpec, preset_folder


@pytest.mark.parametrize("options", [{}, {"blend": False, "skips": False, "tokens": 7}], ids=["compact", "turbo"])
def test_the_plain_form_gives_the_same_pictures(options):
    refiner = tiny_refiner(**options)
    lora = {} if options == {} else {"unet": LoraSpec(4, r".*to_q"), "vae": LoraSpec(2, r"decoder\..*conv1")}
    plain = PlainRefiner(refiner, lora, torch.float32)
    assert any("lora_" in name for name, _ in plain.unet.named_parameters()) == bool(lora)
    views, portrait = [random_view(i, 0.0) for i in range(3)], random_view(9).rgba
    for count in (1, 3):
        ours = refiner.refine(views[:count], refiner.encode_reference(portrait), seed=2)
        for a, b in zip(ours, plain.refine(views[:count], portrait, seed=2), strict=True):
            assert abs(a.astype(int) - b).max() <= 1


def test_the_work_is_that_of_the_matrix_products_and_convolutions():
    compact = preset_folder("compact")
    one, two = refining_flop(compact, 1, 256), refining_flop(compact, 2, 256)
    assert two["encode"] == 2 * one["encode"]
    assert two["decode"] == 2 * one["decode"]
    assert two["unet"] > 1.3 * one["unet"]
    assert two["total"] == two["encode"] + two["unet"] + two["decode"]
    # The first and the last layer of the encoder alone: 3x3 convolutions of 5 to 16 channels at 256x256, and so on.
    assert one["encode"] > 2 * 9 * 256**2 * (5 * 16 + 2 * 16 * 16)
    # Stable Diffusion Turbo at 256x256, three images: 0.52 TFLOP, and attention over all of them together.
    assert refining_flop(preset_folder("turbo"), 2, 256)["unet"] == pytest.approx(0.58e12, rel=0.02)


PEAKS = """
import torch
from backend.bench.work import PeakMemory
with PeakMemory(torch.device("cpu")) as little:
    pass
with PeakMemory(torch.device("cpu")) as much:
    torch.ones(400 << 18).sum()
print(much.bytes - little.bytes)
"""


def test_peak_memory_is_what_a_block_held_at_most():
    # In a process of its own: one that has freed memory before may hold it still, and needs no more.
    result = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True, timeout=120)
    assert 350 << 20 < int(result.stdout) < 600 << 20


def test_the_command_writes_all_figures(tmp_path, base, monkeypatch):
    models = tmp_path / "models" / "refiners"
    models.mkdir(parents=True)
    preset = write_preset(models / "small", base)
    Refiner.for_training(preset).save_adapters(preset)
    output = tmp_path / "figures.json"
    options = {"preset": "small", "views": "1,2", "size": "32,64", "repeats": "3", "device": "cpu", "output": output}
    outcome = CliRunner().invoke(app, ["refiner", *(f"--{name}={value}" for name, value in options.items())])
    assert outcome.exit_code == 0, outcome.output
    assert "small" in outcome.output
    cases = json.loads(output.read_text())["cases"]
    assert [(case["views"], case["size"]) for case in cases] == [(1, SIZE), (2, SIZE), (1, 64), (2, 64)]
    for case in cases:
        assert case["repeats"] == 3
        assert 0 < case["ours"]["p50_ms"] <= case["ours"]["p95_ms"]
        assert case["plain"]["p50_ms"] > 0
        assert set(case["stages_ms"]) == {"encode", "unet", "decode"}
        assert case["peak_memory_gb"] > 0
        assert case["largest_difference"] <= 1
        assert 0 < case["share_of_matrix_rate"] < 1.5


@pytest.mark.slow
def test_a_portrait_as_framed_is_less_work_than_whole_pictures(tmp_path):
    output = tmp_path / "figures.json"
    arguments = ["refiner", "--views", "1", "--framing", "portrait", "--repeats", "3", "--device", "cpu"]
    outcome = CliRunner().invoke(app, [*arguments, "--output", str(output)])
    assert outcome.exit_code == 0, outcome.output
    (case,) = json.loads(output.read_text())["cases"]
    assert (case["framing"], case["preset"]) == ("portrait", "compact")
    assert case["plain"]["p50_ms"] > 0
    # The work of boxes is not that of whole pictures, which the other framing tells.
    assert "tflop" not in case
    # Outside the box all stays; inside, the networks see a little less around it.
    assert case["mean_difference"] < 2
