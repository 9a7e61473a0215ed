"""The measures against published values, against each other, and what is said when they are not there."""

import cv2
import numpy as np
import pytest
import torch

from backend.evaluation.measures import Measures, Tally, flip_map
from backend.evaluation.portraits import real_portraits
from backend.evaluation.regions import INSIDE, REGIONS, WHOLE
from backend.metrics.identity import ArcFace, Dlib
from backend.metrics.inception import INCEPTION_FILE
from backend.metrics.psnr_ssim import psnr
from backend.photos import decode_photo
from backend.tracking.landmarks import find_landmarks


@pytest.fixture(scope="module")
def portraits() -> dict[str, np.ndarray]:
    """Both faces, about 256 pixels."""
    crops = {"astronaut": (140, 20, 200), "hopper": (120, 30, 300)}
    found = {}
    for name, photo in real_portraits().items():
        x, y, side = crops[name]
        found[name] = cv2.resize(decode_photo(photo).rgb[y : y + side, x : x + side], (256, 256))
    return found


def apart(picture: np.ndarray) -> dict[str, np.ndarray]:
    """Three bands as regions."""
    rows = np.arange(len(picture))[:, None] * np.ones(picture.shape[1], int)
    return {name: (rows // 86) == i for i, name in enumerate(REGIONS)}


def test_flip_has_the_values_of_its_paper():
    """Saturated blue and green are as far apart as two colours can be (Andersson et al. 2020, section 4.1)."""
    green = np.full((64, 64, 3), (0, 255, 0))
    blue = np.full((64, 64, 3), (0, 0, 255))
    assert flip_map(blue, green) == pytest.approx(np.ones((64, 64)), abs=0.02)
    assert flip_map(blue, blue).max() == 0
    # Symmetric, and larger for a larger error.
    grey = np.full((64, 64, 3), 128.0)
    slight, strong = flip_map(grey, grey + 8).mean(), flip_map(grey, grey + 60).mean()
    assert 0 < slight < strong < 1
    assert flip_map(grey + 60, grey).mean() == pytest.approx(strong, abs=1e-4)


def test_the_tally_pools_what_the_single_views_have(portraits):
    rng = np.random.default_rng(0)
    tally, truths, pictures = Tally(Measures()), [], []
    for image in portraits.values():
        truths.append(image.astype(np.float32))
        pictures.append(np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.float32))
        tally.add({"noisy": pictures[-1], "exact": truths[-1]}, truths[-1], apart(image))
    table = tally.table()
    everything = np.ones((512, 256), bool)
    assert table[WHOLE]["noisy"]["PSNR"] == pytest.approx(
        psnr(np.vstack(pictures), np.vstack(truths), everything), abs=0.1
    )
    for region in (WHOLE, *REGIONS):
        exact, noisy = table[region]["exact"], table[region]["noisy"]
        assert (exact["L2"], exact["PSNR"], exact["SSIM"], exact["FLIP"]) == (0, float("inf"), pytest.approx(1), 0)
        assert noisy["FLIP"] > 0.02
        assert noisy["SSIM"] < 0.9
    mean = np.mean([table[region]["noisy"]["L2"] for region in REGIONS])
    assert table[WHOLE]["noisy"]["L2"] == pytest.approx(mean, rel=0.05)
    mean = np.mean([table[region]["noisy"]["FLIP"] for region in ("confident", "doubtful")])
    assert table[INSIDE]["noisy"]["FLIP"] == pytest.approx(mean, rel=0.05)


def test_a_person_is_more_like_itself_than_like_another(portraits):
    recogniser = Dlib.load()
    assert not isinstance(recogniser, str), f"missing: {recogniser}"
    astronaut, hopper = portraits["astronaut"], portraits["hopper"]
    landmarks = {name: find_landmarks(image) for name, image in portraits.items()}
    measures = Measures(recogniser=recogniser)
    own = measures.embedding(astronaut)
    other = recogniser.embed([hopper], landmarks["hopper"])[0]
    assert np.linalg.norm(own) == pytest.approx(1)
    blurred = cv2.GaussianBlur(astronaut, (0, 0), 3).astype(np.float32)
    found = measures.likeness({"blurred": blurred, "same": astronaut}, astronaut.astype(np.float32), own)
    assert found["same"]["ID"] == pytest.approx(1, abs=1e-4)
    assert float(own @ other) < found["blurred"]["ID"] < found["same"]["ID"]
    assert found["same"]["ID portrait"] == pytest.approx(1, abs=1e-4)
    blank = np.full((256, 256, 3), 100.0)
    assert measures.likeness({"any": blank}, blank, own) == {}


def test_what_needs_weights_is_named_and_never_replaced(tmp_path, monkeypatch, portraits):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    measures = Measures.at_hand()
    assert str(tmp_path) in measures.missing["LPIPS"]
    assert "w600k_r50.onnx" in measures.missing["ID by ArcFace"]
    assert INCEPTION_FILE in measures.missing["FID"]
    assert measures.recogniser.name == "dlib"
    tally, image = Tally(measures), portraits["hopper"].astype(np.float32)
    tally.add({"same": image}, image, apart(image))
    assert set(tally.table()[WHOLE]["same"]) == {"L2", "PSNR", "SSIM", "FLIP", "ID"}
    assert isinstance(ArcFace.load(tmp_path), str)
