"""GPAvatar's network learns a head, resumes to the step, and reads only data that fits."""

import json
import subprocess
import sys

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_heads import camera_at, write_head

from backend.avatars.gpavatar.config import GPAvatarConfig
from backend.avatars.gpavatar.network import GPAvatarNetwork
from backend.metrics.lpips import BACKBONES, Lpips
from backend.protocol.camera import Camera
from backend.protocol.errors import TurboPortraitError
from backend.training.config import LpipsConfig
from backend.training.gpavatar.batches import box_square, collate, draw_batch, framed, make_sample
from backend.training.gpavatar.config import GPAvatarLossConfig, GPAvatarTrainingConfig
from backend.training.gpavatar.heads import load_heads, read_head
from backend.training.gpavatar.losses import GPAvatarLoss, RenderedHeads, published_perceptual
from backend.training.gpavatar.trainer import GPAvatarTrainer
from flame import load_head_model

SIZES = {
    "portrait_size": 32, "plane_size": 16, "render_size": 16, "image_size": 32, "channels": 8, "coarse_samples": 8,
    "fine_samples": 8, "style_features": 16, "width": 0.06,
}  # fmt: skip
SCALE = GPAvatarConfig.head_scale


@pytest.fixture(scope="module")
def model():
    return load_head_model()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    write_head(folder, 0, views=4)
    return folder


def config(corpus, folder, **changes):
    settings = {
        "corpus": str(corpus), "folder": str(folder), "steps": 4, "batch": 1, "learning_rate": 2e-3, "threads": 1,
        "device": "cpu", "network": SIZES, "loss": {"box_size": 32},
        "checkpoint_every": 2, "log_every": 1, "pictures_every": 2,
    }  # fmt: skip
    return msgspec.convert(settings | changes, GPAvatarTrainingConfig)


def psnr(trainer, head):
    """Of every view rendered from the first, dB."""
    found = []
    trainer.network.eval()
    for target in range(len(head.images)):
        batch = make_sample(head, target, np.array([0]), trainer.sizes)
        with torch.no_grad():
            final = trainer.render(batch).final
        found.append(-10 * float((final - batch.truth).square().mean().log10()))
    trainer.network.train()
    return found


@pytest.mark.slow
def test_a_tiny_network_learns_one_head(corpus, tmp_path, model):
    """From each side, the views that turn the head included; far better than any picture that all views share."""
    settings = {"steps": 120, "portraits": 1, "clip": 1.0, "betas": [0.9, 0.99], "learning_rate": 2e-3}
    trainer = GPAvatarTrainer(config(corpus, tmp_path, pictures_every=80, checkpoint_every=1000, **settings), model)
    head = trainer.heads[0]
    truths = torch.cat([make_sample(head, k, np.array([0]), trainer.sizes).truth for k in range(len(head.images))])
    shared = (-10 * (truths - truths.mean(0)).square().mean((1, 2, 3)).log10()).tolist()
    totals = []
    trainer.run(lambda step, terms: totals.append(terms["total"]))
    reached = psnr(trainer, head)
    assert np.mean(totals[-20:]) < 0.25 * totals[0]
    assert min(reached) > 22
    assert np.mean(reached) > np.mean(shared) + 4
    assert trainer.pictures().shape == (4 * 32, 5 * 32, 3)


def state(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def flat(value, name=""):
    if isinstance(value, dict):
        for key, each in value.items():
            yield from flat(each, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for key, each in enumerate(value):
            yield from flat(each, f"{name}.{key}")
    else:
        yield name, value


def test_an_interrupted_run_is_bit_equal(corpus, tmp_path, model):
    whole = GPAvatarTrainer(config(corpus, tmp_path / "whole"), model)
    whole.run(lambda *_: None)
    for last in (1, 3, 4):
        GPAvatarTrainer(config(corpus, tmp_path / "parts", steps=last), model).run(lambda *_: None)
    first, second = dict(flat(state(tmp_path / "whole"))), dict(flat(state(tmp_path / "parts")))
    assert first.keys() == second.keys()
    for name, value in first.items():
        if "seconds" not in name:
            same = torch.equal(value, second[name]) if isinstance(value, torch.Tensor) else value == second[name]
            assert same, name
    terms = ("step", "image", "box", "density", "total")
    logs = [
        [[json.loads(line)[term] for term in terms] for line in path.read_text().splitlines()]
        for path in (tmp_path / "whole" / "log.jsonl", tmp_path / "parts" / "log.jsonl")
    ]
    assert logs[0] == logs[1]
    assert len(logs[0]) == 4


def test_every_weight_that_is_used_gets_a_gradient(corpus, tmp_path, model):
    trainer = GPAvatarTrainer(config(corpus, tmp_path, single=0.0), model)
    batch = draw_batch(trainer.heads, trainer.config, trainer.sizes, np.random.default_rng(0))
    # A layer's noise strength is zero at first, and everything hangs on the first convolutions of the decoders.
    trainer.loss(trainer.render(batch, torch.Generator().manual_seed(0)), batch)["total"].backward()
    without = {n for n, p in trainer.network.named_parameters() if p.requires_grad and p.grad is None}
    assert all("toRGB" in name for name in without), without
    assert trainer.network.query_style_tplane.grad.abs().sum() > 0
    assert trainer.network.nerf_mlp.points_querier.points_feature.weight.grad.abs().sum() > 0


def test_a_checkpoint_of_another_network_is_refused(corpus, tmp_path, model):
    GPAvatarTrainer(config(corpus, tmp_path, steps=1), model).run(lambda *_: None)
    with pytest.raises(TurboPortraitError, match="other sizes"):
        GPAvatarTrainer(config(corpus, tmp_path, network=SIZES | {"channels": 4}), model)
    (tmp_path / "checkpoint.pt").write_bytes(b"PK")
    with pytest.raises(TurboPortraitError) as caught:
        GPAvatarTrainer(config(corpus, tmp_path), model)
    assert caught.value.code == "bad_checkpoint"


@pytest.mark.slow
def test_by_command_it_stops_goes_on_and_leaves_a_network(corpus, tmp_path):
    lines = [f'corpus = "{corpus}"', f'folder = "{tmp_path / "run"}"', "steps = 2", "batch = 1", "threads = 1"]
    lines += ["[network]", *(f"{name} = {value}" for name, value in SIZES.items()), "[loss]", "box_size = 32"]
    (tmp_path / "tiny.toml").write_text("\n".join(lines))
    command = [sys.executable, "-m", "backend.commands", "train", "gpavatar", "--config", str(tmp_path / "tiny.toml")]
    for steps in (1, 3):
        run = subprocess.run([*command, "--steps", str(steps)], capture_output=True, text=True, check=True)
        assert f"{steps} of {steps} steps" in run.stdout
    # The log goes to the user: what the perceptual term lacks is said.
    assert "alexnet" in run.stderr
    result = tmp_path / "run" / "gpavatar"
    sizes = GPAvatarConfig(**json.loads((result / "config.json").read_text()))
    network = GPAvatarNetwork.from_file(result / "model.safetensors", sizes)
    assert torch.equal(network.query_style_tplane, load_file(result / "model.safetensors")["query_style_tplane"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("surprise = 1", "surprise"),
        ("batch = 0", "batch"),
        ("[network]\npoints = 3", "network.points is unknown"),
        ('[network]\nwidth = "wide"', "network"),
        ("[network]\nrender_size = 0", "network.render_size must be more than 0"),
    ],
)
def test_settings_that_make_no_run_are_named(tmp_path, line, message):
    path = tmp_path / "x.toml"
    path.write_text(f'corpus = "a"\nfolder = "b"\n{line}\n')
    with pytest.raises(TurboPortraitError, match=message) as caught:
        GPAvatarTrainingConfig.load(path)
    assert caught.value.code == "bad_training_config"


def test_a_moving_head_is_still_in_the_box_and_its_camera_moves(tmp_path, model):
    """Vertices that the skull carries are seen where the posed head has them."""
    path = write_head(tmp_path, 3, views=3, poses=True)
    head = read_head(path, model, SCALE)
    arrays = np.load(path)
    rigid = model.lbs_weights[:, 0] < 1e-6
    assert rigid.sum() > 1000
    for k in range(3):
        posed = model.forward(arrays["betas"], arrays["expressions"][k], arrays["poses"][k], arrays["translations"][k])
        numbers = arrays["cameras"][k]
        camera = Camera.from_arrays(numbers[:9].reshape(3, 3), numbers[9:].reshape(4, 4), 64, 64)
        expected = camera.project(posed.vertices[rigid])
        found = head.cameras[k].project(head.points[k][rigid] / SCALE)
        assert np.abs(found - expected).max() < 0.01


def test_the_box_fills_the_picture_and_the_picture_is_cut_where_the_camera_says():
    camera = camera_at(0.0, 64)
    square = box_square(camera, SCALE)
    corners = np.array([[-1, 1, 0], [1, -1, 0]]) / SCALE
    np.testing.assert_allclose(camera.crop(*square, 32).project(corners), [[0, 0], [32, 32]], atol=1e-6)
    # A picture whose colours tell where a pixel is, partly beyond its border.
    y, x = np.mgrid[:64, :64] * 4
    image = np.dstack([x, y, 0 * x, 255 + 0 * x]).astype(np.uint8)
    for size in (16, 40):
        cut = framed(image, (-8.0, 10.0, 48.0), size)
        places = (np.arange(size) + 0.5) * 48 / size
        expected_x, expected_y = 4 * (places - 8 - 0.5) / 255, 4 * (places + 10 - 0.5) / 255
        inside = (cut[..., 3] > 0.999) & (expected_y < 0.97)[:, None]
        assert inside.sum() > 0.5 * size * size
        # Averaged pixels at the border lean inwards.
        assert np.abs(cut[..., 0] - expected_x[None])[inside].max() < 0.01
        assert np.abs(cut[..., 1] - expected_y[:, None])[inside].max() < 0.01
        assert (cut[:, : size // 6 - 1, 3] == 0).all()


def test_batches_hang_on_the_generator_alone(corpus, tmp_path, model):
    heads = load_heads(corpus, model, SCALE)
    settings = config(corpus, tmp_path, batch=2, single=0.5)
    sizes = settings.architecture(len(model.v_template))
    counts = set()
    for seed in range(6):
        first, second = (draw_batch(heads, settings, sizes, np.random.default_rng(seed)) for _ in range(2))
        assert torch.equal(first.portraits, second.portraits)
        assert torch.equal(first.truth, second.truth)
        counts.add(first.portraits.shape[1])
    assert counts == {1, 2}
    assert first.boxes.shape == (2, 4)
    assert first.rays.origins.shape == (2, 256, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"betas": None}, "betas missing"),
        ({"cameras": np.zeros((4, 12))}, r"cameras is \(4, 12\)"),
        ({"cameras": np.full((4, 25), np.nan)}, "cameras has values that are not finite"),
        ({"truth": np.zeros((1, 8, 8, 4), np.uint8)}, "at least 2"),
        ({"expressions": np.zeros((3, 52))}, "expressions is"),
        ({"betas": np.zeros(1000)}, "identity"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_heads_that_do_not_fit_are_refused(corpus, tmp_path, model, change, message):
    arrays = dict(np.load(corpus / "identity_000000.npz")) | change
    path = tmp_path / "identity_000001.npz"
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(TurboPortraitError, match=message) as caught:
        load_heads(tmp_path, model, SCALE)
    assert caught.value.code == "bad_corpus"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TurboPortraitError):
        load_heads(tmp_path, model, SCALE)
    path.unlink()
    with pytest.raises(TurboPortraitError, match="no training identities"):
        load_heads(tmp_path, model, SCALE)


def random_lpips(seed=0):
    """AlexNet's layers with random weights: the term's form can be tested without the trained ones."""
    torch.manual_seed(seed)
    backbone = BACKBONES["alex"]
    features = backbone.build()
    channels = [features[tap - 1].out_channels for tap in backbone.taps]
    return Lpips(features, backbone.taps, [torch.rand(count) for count in channels])


def test_the_perceptual_term_is_the_published_one(monkeypatch):
    """Unit features' squared differences summed over channels, averaged over places, added over layers."""
    loaded = random_lpips()
    monkeypatch.setattr(Lpips, "load", classmethod(lambda cls, *config: loaded))
    term = published_perceptual(LpipsConfig(net="alex"))
    a, b = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x, y = ((each - mean[:, None, None]) / deviation[:, None, None] for each in (a, b))
    expected = 0.0
    for index, layer in enumerate(loaded.features):
        x, y = layer(x), layer(y)
        if index in loaded.taps:
            units = [each / (each.square().sum(1, keepdim=True).sqrt() + 1e-10) for each in (x, y)]
            expected += (units[0] - units[1]).square().sum(1).mean()
    # LPIPS rounds ImageNet's means and deviations to three digits.
    torch.testing.assert_close(term(2 * a - 1, 2 * b - 1, torch.ones(2, 1, 64, 64)), expected, rtol=5e-3, atol=1e-5)


def test_the_loss_looks_only_where_the_truth_is_known(corpus, tmp_path, model):
    head = load_heads(corpus, model, SCALE)[0]
    sizes = config(corpus, tmp_path).architecture(len(model.v_template))
    batch = collate([make_sample(head, 1, np.array([0]), sizes), make_sample(head, 2, np.array([0]), sizes)])
    batch.known[..., :10] = 0
    loss = GPAvatarLoss(GPAvatarLossConfig(box_size=64), random_lpips())
    final = batch.truth.clone()
    small = torch.nn.functional.interpolate(final, (16, 16), mode="bilinear", antialias=True)
    right = RenderedHeads(small, small.clone(), final, torch.full((2, 40, 1), 0.5))
    terms = loss(right, batch)
    assert terms["image"] < 1e-6
    assert terms["box"] < 1e-6
    assert terms["perceptual"] < 1e-4
    np.testing.assert_allclose(float(terms["density"]), 1e-5 * 0.5 * 80**0.5, rtol=1e-5)
    final[:, :, :, :9] += 0.5
    assert loss(right, batch)["image"] < 1e-6
    final[:, :, 5, 20] += 0.3
    changed = loss(right, batch)
    np.testing.assert_allclose(float(changed["image"]), 2 * 3 * 0.3 / (3 * 2 * 32 * 22), rtol=1e-3)
    without = GPAvatarLoss(GPAvatarLossConfig(box_size=64))(right, batch)
    assert "perceptual" not in without
    torch.testing.assert_close(without["total"], without["image"] + without["box"] + without["density"])


def test_without_weights_the_perceptual_term_says_what_it_needs(tmp_path, caplog):
    assert published_perceptual(LpipsConfig(net="alex", folder=str(tmp_path))) is None
    assert f"{tmp_path}/alexnet-owt-7be5be79.pth" in caplog.text
    with pytest.raises(TurboPortraitError, match="alexnet") as caught:
        published_perceptual(LpipsConfig(net="alex", folder=str(tmp_path), required=True))
    assert caught.value.code == "training_weights"
