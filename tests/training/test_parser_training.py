"""The parser's training: what samples are, that it learns, and that interruptions change nothing."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.people.parsing.crops import plain_sample
from backend.people.parsing.pictures import UNKNOWN, read_pictures, write_picture
from backend.people.parsing.portraits import read_notes
from backend.protocol.errors import TurboPortraitError
from backend.tracking.parser import CLASSES, PortraitParser
from backend.training.parser.config import AugmentationConfig, ParserTrainingConfig
from backend.training.parser.samples import draw_sample
from backend.training.parser.spectacles import put_on_spectacles
from backend.training.parser.trainer import ParserTrainer, load_corpus
from tests.training.drawn_people import drawn_person, write_corpus

CONFIGS = ("parser_stage1", "parser_stage2")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parser")
    write_corpus(folder)
    return folder


def _config(corpus, folder, **changes) -> ParserTrainingConfig:
    settings = dict(corpus=str(corpus), folder=str(folder), steps=4, size=32, batch=2, log_every=2, pictures_every=4,
                    threads=1, device="cpu")  # fmt: skip
    return ParserTrainingConfig(**(settings | changes))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_sample_says_of_every_pixel_what_it_is(seed):
    rng = np.random.default_rng(seed)
    picture = drawn_person("p", "0", 1)
    sample = draw_sample(picture, [picture], AugmentationConfig(occluded=0.5, spectacles=0.5), 64, rng)
    assert sample.image.shape == sample.foreground.shape == (64, 64, 3)
    assert sample.image.dtype == np.uint8
    assert ((sample.labels < len(CLASSES)) | (sample.labels == UNKNOWN)).all()
    assert (sample.labels[~sample.valid] == UNKNOWN).all()
    assert (sample.labels[sample.valid & (sample.alpha < 0.5)] == CLASSES.index("background")).all()


def test_without_changes_a_sample_is_the_trackers_crop():
    picture = drawn_person("p", "0", 1)
    still = AugmentationConfig(turned=0, scaled=0, shifted=0, cut=0, replaced=0, spectacles=0, occluded=0)
    plain, drawn = plain_sample(picture, size=64), draw_sample(picture, [picture], still, 64, np.random.default_rng(3))
    agree = max(np.mean(labels == plain.labels) for labels in (drawn.labels, drawn.labels[:, ::-1]))
    assert agree > 0.99


def test_hair_and_clothes_change_their_colour_and_skin_does_not():
    picture, rng = drawn_person("p", "0", 1), np.random.default_rng(4)
    kept = dict(
        turned=0, scaled=0, shifted=0, cut=0, replaced=0, spectacles=0, headwear=0, occluded=0, monochrome=0, blurred=0
    )
    tint = AugmentationConfig(**kept, compressed=0, dyed=1)
    changed = {name: [] for name in ("skin", "hair", "clothing")}
    for _ in range(8):
        sample = draw_sample(picture, [picture], tint, 64, rng)
        plain = plain_sample(picture, size=64)
        mirrored = np.mean(sample.labels == plain.labels) < np.mean(sample.labels[:, ::-1] == plain.labels)
        found = sample.foreground[:, ::-1] if mirrored else sample.foreground
        for name, values in changed.items():
            part = cv2.erode((plain.labels == CLASSES.index(name)).astype(np.uint8), np.ones((5, 5))) > 0
            values.append(np.abs(found.astype(float) - plain.foreground)[part].mean())
    assert max(changed["skin"]) < 3
    assert max(changed["hair"]) > 30
    assert max(changed["clothing"]) > 30


def test_spectacles_cover_the_eyes_and_are_labelled():
    picture = drawn_person("p", "0", 1)
    worn = put_on_spectacles(picture, np.random.default_rng(0))
    eyewear = worn.labels == CLASSES.index("eyewear")
    for corners in ((33, 133), (263, 362)):
        x, y = np.rint(picture.landmarks[list(corners)].mean(0)).astype(int)
        assert eyewear[y, x]
    assert 0.003 < eyewear.mean() < 0.1
    np.testing.assert_array_equal(worn.labels[~eyewear], picture.labels[~eyewear])
    assert (worn.image != picture.image).any()


def test_what_is_left_out_is_not_learnt_from(corpus):
    people, portraits, left = load_corpus(corpus, folds=5, fold=1)
    assert [p.group for p in left] == ["b", "7"]
    assert [p.group for p in portraits] == ["a", "c", "d", "e"]
    assert "7" not in {p.group for p in people}


@pytest.mark.slow
def test_it_learns_and_the_result_is_a_parser(corpus, tmp_path):
    trainer = ParserTrainer(_config(corpus, tmp_path, steps=25, batch=4, size=32, warmup=5, ema=0.9))
    terms = []
    trainer.run(lambda step, found: terms.append(found["total"]))
    assert np.mean(terms[-5:]) < 0.7 * np.mean(terms[:5])
    assert (tmp_path / "log.jsonl").is_file()
    parser = PortraitParser(tmp_path / "parser" / "parser.onnx")
    assert parser.parse(np.zeros((64, 64, 3), np.uint8)).alpha.shape == (64, 64)


def test_an_interrupted_run_ends_with_the_same_bits(corpus, tmp_path):
    whole = ParserTrainer(_config(corpus, tmp_path / "whole"))
    whole.run(lambda *_: None)
    part = ParserTrainer(_config(corpus, tmp_path / "parts"))
    part.run(lambda *_: None, minutes=0)
    assert part.step == 1
    again = ParserTrainer(_config(corpus, tmp_path / "parts"))
    again.run(lambda *_: None)
    results = [folder / "parser" / "parser.safetensors" for folder in (tmp_path / "whole", tmp_path / "parts")]
    assert results[0].read_bytes() == results[1].read_bytes()


def test_a_corpus_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(TurboPortraitError, match="neither people nor portraits"):
        ParserTrainer(_config(tmp_path / "none", tmp_path / "run"))
    write_picture(tmp_path / "people", drawn_person("000000_00", "0", 0))
    path = tmp_path / "people" / "000000_00.npz"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(TurboPortraitError, match="000000_00") as error:
        read_pictures(tmp_path / "people")
    assert error.value.code == "bad_corpus"


@pytest.mark.parametrize("name", CONFIGS)
def test_the_configurations_that_ship_are_read(name):
    from backend.training.configs import CONFIGS as FOLDER

    config = ParserTrainingConfig.load(FOLDER / f"{name}.toml")
    assert config.rate(0) < config.rate(config.warmup)
    assert 0 < config.rate(config.steps - 1) < config.rate(config.warmup)


def test_notes_are_typed(tmp_path):
    path = tmp_path / "notes.toml"
    path.write_text("a = { headwear = 0.2, hair = false }\n")
    assert read_notes(path)["a"].headwear == 0.2
    path.write_text("a = { hat = 0.2 }\n")
    with pytest.raises(TurboPortraitError, match="hat"):
        read_notes(path)
