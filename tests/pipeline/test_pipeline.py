"""Register, render, refine, without a socket."""

from dataclasses import replace

import numpy as np
import pytest
from little_head import PORTRAIT, Brighten, little_catalog, looking_from, make_little_head, photo

from backend.pipeline import Catalog, Pipeline
from backend.pipeline.store import SHARE_ONCE_BAKED
from backend.protocol.codec import decode_reply, encode
from backend.protocol.errors import TurboPortraitError
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import MeshReply
from backend.refiner import Refiner
from backend.refiner.config import preset_folder
from backend.tracking.actions import actions_on
from backend.tracking.embedding import with_landmarks
from flame import load_head_model

REST = HeadParameters()


def quiet(fraction, stage):
    pass


@pytest.fixture
def pipeline():
    return Pipeline(little_catalog(), device="cpu")


@pytest.fixture
def registration(pipeline):
    return pipeline.register(photo(), "little", "open_head", quiet)


def refined(pipeline, registration, cameras, parameters=REST, **options):
    raw = pipeline.render_raw(registration, cameras, parameters)
    return raw, pipeline.refine(registration, cameras, parameters, raw, "compact", **options)


def test_registering_the_same_portrait_again_makes_nothing_new(pipeline):
    made = []

    def maker(data, model, progress, *, face=0):
        made.append(data)
        return make_little_head(data, model, progress, face=face)

    pipeline = Pipeline(little_catalog(maker=maker), device="cpu")
    first = pipeline.register(photo(), "little", "open_head", quiet)
    assert pipeline.register(photo(), "little", "open_head", quiet) is first
    assert pipeline.register(photo((10, 20, 30)), "little", "open_head", quiet) is not first
    assert len(made) == 2
    pipeline.forget(first.avatar.id)
    assert pipeline.register(photo(), "little", "open_head", quiet).avatar.id == first.avatar.id
    assert len(made) == 3
    # Another face of the same photo is another avatar.
    assert pipeline.register(photo(), "little", "open_head", quiet, face=2).avatar.id != first.avatar.id
    assert len(made) == 4


def test_a_texture_is_part_of_the_avatar_and_makes_nothing_else_anew(pipeline):
    made = []

    def maker(data, model, progress, *, face=0):
        made.append(data)
        return make_little_head(data, model, progress)

    pipeline = Pipeline(little_catalog(maker=maker), device="cpu")
    plain = pipeline.register(photo(), "little", "open_head", quiet)
    green = np.full((30, 20, 4), (0, 200, 0, 255), np.uint8)
    painted = pipeline.register(photo(), "little", "open_head", quiet, green)
    assert painted.avatar.id != plain.avatar.id
    assert pipeline.register(photo(), "little", "open_head", quiet, green.copy()) is painted
    assert pipeline.register(photo(), "little", "open_head", quiet, plain.avatar.mesh().texture) is plain
    assert len(made) == 1
    (view,) = pipeline.render_raw(painted, [looking_from((0, 0, 1))], REST)
    assert (view.rgba[view.rgba[..., 3] > 0] == (0, 200, 0, 255)).all()
    # Another backend knows nothing of the first one's.
    other = Pipeline(little_catalog(), device="cpu")
    assert other.register(photo(), "little", "open_head", quiet, green).avatar.id == painted.avatar.id


def test_what_the_refiner_changes_is_baked_where_the_photo_is_unsure():
    def maker(data, model, progress, *, face=0):
        head = make_little_head(data, model, progress, face=face)
        head._mesh.confidence[12:] = 0
        progress(1.0, "done")
        return head

    refiner, stages = Brighten(), []
    catalog = replace(little_catalog(refiner, maker), baked_by="compact")
    pipeline = Pipeline(catalog, device="cpu")
    baked = pipeline.register(photo(), "little", "open_head", lambda *stage: stages.append(stage))
    assert len(refiner.calls) == 1
    assert [stage for _, stage in stages] == ["reading", "modelling", "done", "baking", "done"]
    assert np.all(np.diff([fraction for fraction, _ in stages]) >= 0)
    plain = Pipeline(little_catalog(maker=maker), device="cpu").register(photo(), "little", "open_head", quiet)
    change = baked.avatar.mesh().texture.astype(int) - plain.avatar.mesh().texture
    assert not change[:11].any()
    assert np.median(change[14:22, :, :3]) == pytest.approx(40, abs=3)
    assert not change[..., 3].any()
    # What comes with an avatar was baked before, and may have been painted on since.
    texture = baked.avatar.mesh().texture
    elsewhere = Pipeline(catalog, device="cpu").register(photo(), "little", "open_head", quiet, texture)
    assert len(refiner.calls) == 1
    assert np.array_equal(elsewhere.avatar.mesh().texture, texture)
    assert pipeline.register(photo(), "little", "open_head", quiet) is baked
    # Its texture has the most of what that preset changes; the same is filmed wherever the texture comes along.
    cameras = [looking_from((0, 0, 1))]
    added = []
    for registration in (baked, elsewhere, plain):
        raw = pipeline.render_raw(registration, cameras, REST)
        (frame,) = pipeline.refine(registration, cameras, REST, raw, "compact")
        inside = raw[0].rgba[..., 3] == 255
        added.append(np.median((frame.astype(int) - raw[0].rgba)[inside][:, :3]))
    assert added[0] == added[1] == pytest.approx(SHARE_ONCE_BAKED * added[2], abs=1)
    assert added[2] == pytest.approx(40, abs=3)
    # Without the weights there is an avatar, too.
    asked = []
    unready = Pipeline(replace(catalog, preset_ready=lambda name: bool(asked.append(name))), device="cpu")
    assert unready.register(photo(), "little", "open_head", quiet).avatar.id == plain.avatar.id
    assert len(asked) == 1, "it reads files"


def test_a_mesh_without_arkits_actions_tells_what_comes_nearest():
    model = load_head_model()
    names = tuple(f"expression_{number:03}" for number in range(2))
    components = replace(
        model,
        checksum="components",
        expressiondirs=model.expressiondirs[:, :, :2].copy(),
        expression_names=names,
        landmarks=with_landmarks(model).landmarks,
    )

    def maker(data, model, progress, *, face=0):
        head = make_little_head(data, model, progress, face=face)
        head._mesh = replace(head._mesh, expression_names=model.expression_names[:2])
        return head

    catalog = replace(
        little_catalog(maker=maker), head_models={"open_head": lambda: model, "flame": lambda: components}
    )
    pipeline = Pipeline(catalog, device="cpu")
    plain = pipeline.register(photo(), "little", "open_head", quiet)
    assert pipeline.mesh(plain.avatar.id).actions is None
    other = pipeline.register(photo(), "little", "flame", quiet)
    assert pipeline.mesh(other.avatar.id).actions.shape == (52, 2 + 3)
    reply = decode_reply(encode(MeshReply(id=1, mesh=pipeline.mesh(other.avatar.id))))
    np.testing.assert_array_equal(reply.mesh.actions, actions_on(components))


def test_a_maker_that_is_no_more_has_a_successor(pipeline):
    catalog = little_catalog()
    pipeline = Pipeline(replace(catalog, makers={"bust": catalog.makers["little"]}), device="cpu")
    assert pipeline.register(photo(), "relief", "open_head", quiet) is pipeline.register(
        photo(), "bust", "open_head", quiet
    )


def test_refined_frames_are_as_large_as_their_cameras_and_change_the_head_only(pipeline, registration):
    cameras = [looking_from((0.3, 0, 1), 300, 200), looking_from((-0.3, 0.1, 0.8), 128, 240)]
    for view, frame, camera in zip(*refined(pipeline, registration, cameras), cameras, strict=True):
        assert frame.shape == (camera.height, camera.width, 4)
        seen = view.rgba[..., 3] > 0
        change = frame[..., :3].astype(int) - view.rgba[..., :3]
        assert np.array_equal(frame[..., 3], view.rgba[..., 3])
        assert change[seen].min() >= 38
        assert not change[~seen].any()


def test_the_same_request_gives_the_same_pixels(pipeline, registration):
    parameters = HeadParameters.from_arrays(pose=[[0, 0.3, 0], [0.1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    (_, [first]), (_, [again]) = (refined(pipeline, registration, [PORTRAIT], parameters) for _ in range(2))
    assert np.array_equal(first, again)


def test_joint_views_are_refined_in_one_call_others_in_calls_of_their_own():
    refiner = Brighten()
    pipeline = Pipeline(little_catalog(refiner), device="cpu")
    registration = pipeline.register(photo(), "little", "open_head", quiet)
    cameras = [PORTRAIT, looking_from((0.5, 0, 1))]
    refined(pipeline, registration, cameras, joint=True)
    refined(pipeline, registration, cameras, joint=False)
    assert refiner.calls == [2, 1, 1]


@pytest.mark.parametrize(
    "camera",
    [
        pytest.param(looking_from((0, 0, 0.02)), id="inside the head"),
        pytest.param(PORTRAIT.crop(5000, 0, 256, 256), id="head outside the frame"),
    ],
)
def test_a_camera_that_sees_nothing_gives_an_empty_view(pipeline, registration, camera):
    [view], [frame] = refined(pipeline, registration, [camera])
    assert not view.rgba[..., 3].any()
    assert not frame[..., 3].any()
    assert np.isinf(view.depth).all()


def test_a_camera_facing_away_gives_an_empty_view_beside_one_that_sees(pipeline, registration):
    away = looking_from((0, 0, -1))
    turned = np.array(away.extrinsics)
    turned[2, 3] = -1.0  # The head is behind it.
    away = type(away).from_arrays(away.intrinsics, turned, 256, 256)
    raw, frames = refined(pipeline, registration, [away, PORTRAIT])
    assert not raw[0].rgba.any()
    assert not frames[0].any()
    assert frames[1][..., 3].any()


def test_a_close_up_of_part_of_the_head_is_refined_too(pipeline, registration):
    [view], [frame] = refined(pipeline, registration, [PORTRAIT.crop(110, 100, 20, 128)])
    assert view.rgba[..., 3].all()
    assert (frame[..., :3].astype(int) - view.rgba[..., :3]).min() >= 38


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda p: p.register(photo(), "nobody", "open_head", quiet), "unknown_maker"),
        (lambda p: p.register(photo(), "little", "no_head", quiet), "unknown_head_model"),
        (lambda p: p.register(b"GIF89a, not really", "little", "open_head", quiet), "not_an_image"),
        (lambda p: p.find("nobody"), "unknown_avatar"),
        (lambda p: p.check_preset("best"), "unknown_preset"),
    ],
)
def test_what_does_not_exist_is_named(pipeline, call, code):
    with pytest.raises(TurboPortraitError) as error:
        call(pipeline)
    assert error.value.code == code


def test_more_expressions_than_the_head_has_are_refused(pipeline, registration):
    with pytest.raises(TurboPortraitError) as error:
        pipeline.render_raw(registration, [PORTRAIT], HeadParameters(expression=(0.1,) * 3))
    assert error.value.code == "bad_parameters"


def test_missing_weights_are_an_error_of_their_own():
    def load(device):
        raise FileNotFoundError("no weights here")

    catalog = little_catalog()
    pipeline = Pipeline(Catalog(catalog.makers, catalog.head_models, {"compact": load}), device="cpu")
    with pytest.raises(TurboPortraitError) as error:
        pipeline.check_preset("compact")
    assert error.value.code == "weights_missing"


def test_a_head_model_that_cannot_be_read_is_an_error_of_its_own(tmp_path, monkeypatch):
    folder = tmp_path / "head_models"
    folder.mkdir()
    (folder / "mine.npz").write_bytes(b"no archive")
    monkeypatch.setenv("TURBOPORTRAIT_MODELS", str(tmp_path))
    pipeline = Pipeline(Catalog.default(), device="cpu")
    assert "mine" in pipeline.capabilities().head_models
    with pytest.raises(TurboPortraitError) as error:
        pipeline.register(photo(), "bust", "mine", quiet)
    assert error.value.code == "bad_head_model"


@pytest.mark.slow
def test_the_real_refiner_before_its_training_changes_nothing():
    """The compact preset's networks with fresh weights correct nothing: the whole way must give the raw frame back."""
    catalog = little_catalog()
    presets = {"compact": lambda device: Refiner.from_config(preset_folder("compact")).prepare(device)}
    pipeline = Pipeline(Catalog(catalog.makers, catalog.head_models, presets), device="cpu")
    registration = pipeline.register(photo(), "little", "open_head", quiet)
    cameras = [looking_from((0.3, 0, 1), 300, 200), PORTRAIT.crop(110, 100, 20, 128)]
    for view, frame in zip(*refined(pipeline, registration, cameras), strict=True):
        assert np.array_equal(view.rgba, frame)
