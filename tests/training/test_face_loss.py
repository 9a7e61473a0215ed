"""The face term sees people as dlib does, and only where a face is."""

import logging

import numpy as np
import pytest
import torch

from backend.metrics import face_recogniser
from backend.metrics.face_recogniser import CHIP, FaceRecogniser, weights_file
from backend.protocol.errors import TurboPortraitError
from backend.refiner.head_space import UNIT
from backend.training import face_loss
from backend.training.face_loss import FaceLoss, face_box

SIDE = 120


def placed_face(scale: float = 500.0, middle: tuple[float, float] = (60.0, 50.0)) -> torch.Tensor:
    """(3, SIDE, SIDE) in units: a flat face of so many pixels a metre, its eyes about (column, row)."""
    rows, columns = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    place = torch.stack([(columns - middle[0]) / scale, (middle[1] - rows) / scale, 0.05 + 0 * rows])
    return place / UNIT


@pytest.fixture(scope="module")
def loss():
    return FaceLoss.load()


def test_embeds_as_dlib_does():
    import dlib
    from skimage.data import astronaut

    ours, theirs = FaceRecogniser.load(weights_file()), dlib.face_recognition_model_v1(str(weights_file()))
    noise = np.random.default_rng(0).integers(0, 256, (CHIP, CHIP, 3), np.uint8)
    for chip in (np.ascontiguousarray(astronaut()[50 : 50 + CHIP, 150 : 150 + CHIP]), noise):
        pictures = torch.from_numpy(chip).permute(2, 0, 1)[None].float() / 127.5 - 1
        found = ours.embed(ours.features(pictures))[0].numpy()
        assert found == pytest.approx(np.array(theirs.compute_face_descriptor(chip)), abs=1e-5)


@pytest.mark.parametrize("damage", ["short", "other", "missing"])
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "faces.dat"
    if damage != "missing":
        data = weights_file().read_bytes()
        path.write_bytes(data[:100_000] if damage == "short" else data.replace(b"affine_", b"unknown"))
    with pytest.raises(TurboPortraitError, match=r"faces\.dat"):
        FaceRecogniser.load(path)


@pytest.mark.parametrize(("scale", "middle"), [(500.0, (60.0, 50.0)), (400.0, (52.0, 61.0))])
def test_a_chip_lies_where_dlib_has_a_face(scale, middle):
    x, y, side = face_box(placed_face(scale, middle))
    assert x == pytest.approx(middle[0], abs=0.6)
    assert y == pytest.approx(middle[1] - face_loss.MIDDLE * scale, abs=0.6)
    assert side == pytest.approx(face_loss.SIDE * scale, rel=0.01)


def test_no_face_is_no_difference(loss):
    a, b = torch.rand(2, 1, 3, SIDE, SIDE) * 2 - 1
    assert face_box(torch.zeros(3, SIDE, SIDE)) is None
    nowhere = torch.zeros(1, 3, SIDE, SIDE)
    assert loss(a, b, nowhere) == {"face": 0}
    assert loss(a, b, nowhere, a, b, nowhere) == {"face": 0, "likeness": 0}
    assert loss(a, b, placed_face()[None], a, b, nowhere)["likeness"] == 0


def test_likeness_that_is_lost_counts_and_what_is_won_does_not(loss):
    torch.manual_seed(0)
    people = torch.nn.functional.interpolate(torch.rand(4, 3, 12, 12), size=(SIDE, SIDE), mode="bicubic") * 2 - 1
    portraits, others = people[:2], people[2:]
    places = placed_face()[None]

    def lost(refined, raw, portraits=portraits):
        count = len(portraits)
        return loss(refined, raw, places.expand(len(refined), -1, -1, -1), raw, portraits,
                    places.expand(count, -1, -1, -1))["likeness"]  # fmt: skip

    def views(of):
        return of.repeat_interleave(2, 0)

    assert lost(views(portraits), views(portraits)) == pytest.approx(0, abs=1e-6)
    assert lost(views(portraits), views(others)) == 0
    all_lost = lost(views(others), views(portraits))
    assert all_lost > 0.01
    half = torch.stack([portraits[0], portraits[0], others[1], others[1]])
    each = [float(lost(views(others[k : k + 1]), views(portraits[k : k + 1]), portraits[k : k + 1])) for k in (0, 1)]
    assert float(all_lost) == pytest.approx(sum(each) / 2, rel=1e-3)
    assert float(lost(half, views(portraits))) == pytest.approx(each[1] / 2, rel=1e-3)


def test_it_teaches_the_face_and_nothing_else(loss):
    torch.manual_seed(0)
    truth = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 12), size=(SIDE, SIDE), mode="bicubic") * 2 - 1
    places = placed_face()[None]
    picture = (truth + 0.1 * torch.randn_like(truth)).requires_grad_()
    assert loss(truth, truth, places)["face"] == 0
    small = loss(truth + 0.02 * torch.randn_like(truth), truth, places)["face"]
    large = loss(picture, truth, places)["face"]
    assert large > small > 0
    large.backward()
    x, y, side = face_box(places[0])
    rows, columns = np.mgrid[:SIDE, :SIDE]
    far = torch.from_numpy(np.maximum(abs(rows - y), abs(columns - x)) > side / 2 + 2)
    assert picture.grad[..., far].abs().max() == 0
    assert picture.grad[..., ~far].abs().max() > 0


def test_without_the_package_the_term_is_left_out_and_named(monkeypatch, caplog):
    monkeypatch.setattr(face_recogniser.importlib.util, "find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        assert FaceLoss.load() is None
    assert "face_recognition_models" in caplog.text
