"""Large pictures are rendered and refined by parts, with the same result as whole ones."""

import numpy as np
import pytest
from little_head import PORTRAIT, Brighten, little_catalog, looking_from, photo

from backend.pipeline import Pipeline, parts, view_sets
from backend.pipeline.parts import bands, complete
from backend.protocol.head_parameters import HeadParameters

CAMERAS = [looking_from((0.3, 0.1, 0.9), 300, 200), PORTRAIT, looking_from((-0.5, 0.2, 0.9), 90, 400, 900.0)]


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline(little_catalog(Brighten()), device="cpu")


@pytest.fixture(scope="module")
def registration(pipeline):
    return pipeline.register(photo(), "little", "open_head", lambda fraction, stage: None)


@pytest.mark.parametrize("pixels", [10_000, 40_000])
def test_parts_are_the_same_as_the_whole(pipeline, registration, monkeypatch, pixels):
    def pictures():
        raw = pipeline.render_raw(registration, CAMERAS, HeadParameters())
        return raw, pipeline.refine(registration, CAMERAS, HeadParameters(), raw, "compact")

    whole, refined = pictures()
    monkeypatch.setattr(parts, "PART_PIXELS", pixels)
    monkeypatch.setattr(view_sets, "PART_PIXELS", pixels)
    whole_again, refined_again = pictures()
    for one, other in zip(whole, whole_again, strict=True):
        assert one.rgba.shape == other.rgba.shape
        # A triangle's edge may fall on the other side of a pixel's middle by the rounding of its place.
        assert (one.rgba != other.rgba).any(-1).mean() < 1e-3
        seen = np.isfinite(one.depth) & np.isfinite(other.depth)
        assert np.allclose(one.depth[seen], other.depth[seen], atol=1e-4)
    for one, other in zip(refined, refined_again, strict=True):
        assert (np.abs(one.astype(int) - other) > 1).any(-1).mean() < 1e-3


def test_bands_cover_a_camera(monkeypatch):
    monkeypatch.setattr(parts, "PART_PIXELS", 1000)
    camera = looking_from((0.3, 0.1, 0.9), 90, 400)
    cut = bands(camera)
    assert sum(band.height for band in cut) == camera.height
    assert all(band.width * band.height <= 1000 for band in cut)
    point = np.array([0.02, 0.03, 0.05])
    assert np.allclose(cut[1].project(point) + np.array([0, cut[0].height]), camera.project(point))


def test_work_can_be_left_between_parts(pipeline, registration, monkeypatch):
    monkeypatch.setattr(parts, "PART_PIXELS", 20_000)
    work = pipeline.rendering(registration, CAMERAS, HeadParameters())
    assert sum(1 for _ in work) > len(CAMERAS)
    assert len(complete(pipeline.rendering(registration, CAMERAS, HeadParameters()))) == len(CAMERAS)
