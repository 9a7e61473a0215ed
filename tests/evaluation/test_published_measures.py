"""LPIPS, FID and ArcFace run as soon as their files are there, and refuse files that are something else."""

import cv2
import numpy as np
import pytest
import torch
from published_files import Colours, write_arcface, write_inception, write_vgg

from backend.evaluation.fid import Fid
from backend.evaluation.measures import Measures, Tally
from backend.evaluation.portraits import real_portraits
from backend.evaluation.regions import INSIDE, REGIONS
from backend.metrics.identity import ARCFACE_POINTS, EYES_NOSE_MOUTH, ArcFace
from backend.metrics.inception import Inception
from backend.photos import decode_photo
from backend.protocol.errors import TurboPortraitError
from backend.tracking.landmarks import find_landmarks


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where weights are looked for."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """The astronaut's, (128, 128, 3)."""
    photo = decode_photo(real_portraits()["astronaut"]).rgb[20:220, 140:340]
    return cv2.resize(photo, (128, 128))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_with_all_files_there_nothing_is_missing(folder, monkeypatch, face):
    write_vgg(folder, monkeypatch)
    write_inception(folder, monkeypatch)
    write_arcface(folder)
    measures = Measures.at_hand()
    assert measures.missing == {}
    assert measures.recogniser.name == "ArcFace"
    truth = face.astype(np.float32)
    blurred = cv2.GaussianBlur(truth, (0, 0), 2)
    rows = np.arange(128)[:, None] * np.ones(128, int)
    masks = {name: rows // 43 == k for k, name in enumerate(REGIONS)}
    tally = Tally(measures)
    tally.add({"same": truth, "blurred": blurred}, truth, masks, measures.embedding(truth))
    inside = tally.table()[INSIDE]
    assert inside["same"]["LPIPS"] == pytest.approx(0, abs=1e-5)
    assert inside["blurred"]["LPIPS"] > 1e-3
    assert inside["same"]["ID"] == pytest.approx(1, abs=1e-5)
    assert inside["blurred"]["ID"] < 0.9999
    assert set(inside["same"]) == {"L2", "PSNR", "SSIM", "FLIP", "LPIPS", "ID", "ID portrait"}
    features = measures.inception(torch.from_numpy(np.stack([face, face[::-1].copy()])).movedim(3, 1))
    assert features.shape == (2, 2048)
    assert (features[0] - features[1]).abs().max() > 1e-3


def test_inceptions_layout_is_the_published_one():
    """The file of torch-fidelity holds these: their number, and some shapes."""
    layout = {name: tuple(value.shape) for name, value in Inception().state_dict().items()}
    assert len(layout) == 566
    assert layout["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert layout["Conv2d_4a_3x3.bn.running_mean"] == (192,)
    assert layout["Mixed_5b.branch5x5_2.conv.weight"] == (64, 48, 5, 5)
    assert layout["Mixed_5d.branch_pool.conv.weight"] == (64, 288, 1, 1)
    assert layout["Mixed_6a.branch3x3.conv.weight"] == (384, 288, 3, 3)
    assert layout["Mixed_6d.branch7x7dbl_4.conv.weight"] == (160, 160, 7, 1)
    assert layout["Mixed_7a.branch7x7x3_4.conv.weight"] == (192, 192, 3, 3)
    assert layout["Mixed_7b.branch3x3_2b.conv.weight"] == (384, 384, 3, 1)
    assert layout["Mixed_7c.branch1x1.conv.weight"] == (320, 2048, 1, 1)
    assert layout["fc.weight"] == (1008, 2048)


def test_arcface_sees_the_face_where_it_was_trained_to(folder, face):
    network = write_arcface(folder)
    landmarks = find_landmarks(face)
    embedded = ArcFace.load(folder).embed([face, face], landmarks)
    points = np.stack([landmarks[list(index), :2].mean(0) for index in EYES_NOSE_MOUTH])
    # The same face cut out by hand, eyes and mouth where ArcFace wants them, colours in [-1, 1].
    matrix, *_ = np.linalg.lstsq(_similarity(points), ARCFACE_POINTS.reshape(-1), rcond=None)
    a, b, x, y = matrix
    cut = cv2.warpAffine(face, np.array([[a, -b, x], [b, a, y]]), (112, 112))
    with torch.no_grad():
        expected = network(torch.from_numpy(cut / 127.5 - 1).float().movedim(2, 0)[None])[0].numpy()
    assert embedded.shape == (2, 512)
    assert embedded[0] == pytest.approx(embedded[1])
    assert float(embedded[0] @ expected / np.linalg.norm(expected)) > 0.95


def _similarity(points: np.ndarray) -> np.ndarray:
    """Rows of the least squares for scale, rotation and shift."""
    rows = [[(x, -y, 1, 0), (y, x, 0, 1)] for x, y in points]
    return np.array(rows).reshape(-1, 4)


def test_a_file_that_is_not_what_its_name_says_is_refused(folder, monkeypatch):
    path = write_inception(folder, monkeypatch)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TurboPortraitError) as caught:
        Measures.at_hand()
    assert caught.value.code == "training_weights"
    assert path.name in str(caught.value)


def test_fid_compares_each_methods_views_with_the_true_ones():
    rng = np.random.default_rng(0)
    fid = Fid(Colours())
    for _ in range(12):
        truth = rng.uniform(0, 255, (1, 1, 3)) + rng.normal(0, 20, (16, 16, 3))
        truth = np.clip(truth, 0, 255)
        fid.add({"same": truth, "dark": truth * 0.5}, truth)
    values = fid.values()
    assert values["same"] == pytest.approx(0, abs=1e-3)
    assert values["dark"] > 10 * abs(values["same"]) + 0.01
