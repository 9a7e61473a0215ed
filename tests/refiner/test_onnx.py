"""The compact refiner without torch: the graphs that ship give what torch gives of the weights beside them."""

import subprocess
import sys
from functools import reduce

import numpy as np
import pytest
from skimage.data import astronaut
from skimage.transform import resize

from backend.avatars.base import RenderedView
from backend.protocol.errors import TurboPortraitError
from backend.refiner import Refiner
from backend.refiner.config import preset_folder
from backend.refiner.runtime.onnx_refiner import OnnxRefiner
from backend.refiner.runtime.reference import ReferenceState

PHOTO = astronaut()[:256, 96:352]


def drawn_view(seed: int, size: int) -> RenderedView:
    """A photograph, moved and mixed with noise, in a disc with places on a plane."""
    rng = np.random.default_rng(seed)
    colors = np.rint(255 * resize(np.roll(PHOTO, rng.integers(-20, 20, 2), (0, 1)), (size, size)))
    noisy = np.clip(colors + rng.normal(0, 12, colors.shape), 0, 255).astype(np.uint8)
    y, x = (np.mgrid[:size, :size].astype(np.float32) - size / 2) / 1000
    inside = np.hypot(x, y) < 0.11
    place = np.stack([x, -y, np.full_like(x, 0.01)], -1) * inside[..., None]
    return RenderedView(
        np.dstack([noisy, np.uint8(255) * inside]),
        np.ones((size, size), np.float32),
        rng.random((size, size)).astype(np.float32) * 0.4,
        turned=float(rng.random()),
        place=place.astype(np.float32),
        warped=colors.astype(np.uint8),
    )


@pytest.fixture(scope="module")
def light():
    return OnnxRefiner(preset_folder("compact"))


@pytest.fixture(scope="module")
def full():
    return Refiner.from_preset("compact")


def apart(first, second):
    return max(np.abs(a.astype(int) - b).max() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_views_is_equal_to_one_grey_level(light, full, count):
    views = [drawn_view(seed, light.size) for seed in range(count)]
    portrait = drawn_view(9, light.size)
    expected = full.refine(views, full.encode_reference(portrait.rgba, portrait.place), seed=3)
    found = light.refine(views, light.encode_reference(portrait.rgba, portrait.place), seed=3)
    assert apart(expected, found) <= 1
    assert apart(found, [view.rgba[..., :3] for view in views]) > 3


@pytest.mark.parametrize("references", [0, 2])
def test_so_is_any_number_of_references(light, full, references):
    views, images = [drawn_view(1, light.size)], [drawn_view(7 + i, light.size) for i in range(references)]

    def refined(refiner):
        states = [refiner.encode_reference(image.rgba, image.place) for image in images]
        return refiner.refine(views, reduce(ReferenceState.joined, states) if states else None)

    assert apart(refined(full), refined(light)) <= 1


def test_samples_of_a_batch_are_refined_as_by_themselves(light):
    samples = [[drawn_view(2 * i, light.size), drawn_view(2 * i + 1, light.size)] for i in range(2)]
    portrait = drawn_view(9, light.size)
    state = light.encode_reference(portrait.rgba, portrait.place)
    together = light.refine_batch(samples, [state, state], seed=1)
    for sample, refined in zip(samples, together, strict=True):
        assert apart(refined, light.refine(sample, state, seed=1)) <= 1


def test_a_folder_without_graphs_is_told(tmp_path):
    for part in ("", "vae", "unet"):
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part / "config.json").write_bytes((preset_folder("compact") / part / "config.json").read_bytes())
    with pytest.raises(TurboPortraitError) as caught:
        OnnxRefiner(tmp_path)
    assert caught.value.code == "bad_weights"


def test_it_needs_no_torch():
    code = (
        "import sys; from backend.refiner.config import preset_folder;"
        "from backend.refiner.runtime.onnx_refiner import OnnxRefiner; OnnxRefiner(preset_folder('compact'));"
        "print(sorted({'torch', 'diffusers', 'transformers', 'peft'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"
