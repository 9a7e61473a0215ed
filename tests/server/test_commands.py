"""The command line, as a user types it."""

import os
import subprocess
import sys

import numpy as np
import pytest
import skimage.data
from little_head import photo
from PIL import Image
from typer.testing import CliRunner

from backend.commands.app import app


@pytest.fixture
def backend(spawn):
    return spawn().wait_ready().address


@pytest.fixture
def portrait(tmp_path):
    path = tmp_path / "me.png"
    path.write_bytes(photo())
    return path


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def typed(*arguments, **environment):
    command = [sys.executable, "-m", "backend.commands", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **environment}
    )


def test_register_saves_a_preview(backend, portrait, tmp_path):
    result = run("register", portrait, "--maker", "little", "--backend", backend, "--preview", tmp_path / "preview.png")
    assert result.exit_code == 0, result.output
    assert Image.open(tmp_path / "preview.png").size == (512, 256)


def test_render_saves_a_picture_per_yaw(backend, portrait, tmp_path):
    yaws = ["--yaw", "-20", "--yaw", "0", "--yaw", "20"]
    result = run(
        "render", portrait, "--maker", "little", "--backend", backend, "--output", tmp_path / "out", "--size", 96, *yaws
    )
    assert result.exit_code == 0, result.output
    pictures = {path.name: np.array(Image.open(path)) for path in (tmp_path / "out").iterdir()}
    assert set(pictures) == {"me_yaw-20.png", "me_yaw+0.png", "me_yaw+20.png"}
    for picture in pictures.values():
        assert picture.shape == (96, 96, 4)
        assert picture[..., 3].any()


def test_serve_starts_for_the_command_alone(tmp_path):
    """No backend runs: the command starts one of its own, with the bust, and ends it."""
    path = tmp_path / "astronaut.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    state = tmp_path / "state"
    result = typed("render", path, "--raw", "--output", tmp_path, "--size", "128", TURBOPORTRAIT_STATE=str(state))
    assert result.returncode == 0, result.stderr
    assert np.array(Image.open(tmp_path / "astronaut_yaw+0.png"))[..., 3].any()
    assert not (state / "backend.json").exists()


@pytest.mark.parametrize(
    ("content", "code"), [(None, "not_an_image"), (b"not an image", "not_an_image")], ids=["missing", "no image"]
)
def test_errors_are_a_line_not_a_traceback(backend, tmp_path, content, code):
    path = tmp_path / "x.png"
    if content:
        path.write_bytes(content)
    result = typed("register", path, "--maker", "little", "--backend", backend)
    assert result.returncode == 2
    assert code in result.stderr
    assert "Traceback" not in result.stderr


def test_a_backend_that_is_not_there_is_an_error(portrait):
    result = typed("render", portrait, "--backend", "nonsense")
    assert result.returncode == 2
    assert "bad_address" in result.stderr


def test_models_lists_what_can_be_chosen():
    result = run("models")
    assert result.exit_code == 0
    for name in ("open_head", "bust", "compact", "turbo"):
        assert name in result.output


@pytest.mark.slow
def test_doctor_checks_everything_and_says_so():
    result = typed("doctor")
    for name in ("Python", "packages", "models", "backend", "Blender"):
        assert name in result.stdout
    assert "starts and answers" in result.stdout


def test_serve_makes_keys(tmp_path):
    result = run("serve", "--make-keys", tmp_path / "keys")
    assert result.exit_code == 0
    assert (tmp_path / "keys" / "clients" / "client.key").exists()
