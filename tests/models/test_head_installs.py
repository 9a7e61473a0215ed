"""FLAME files are checked, kept as .npz and listed; the open head stays what it is."""

import pickle
import zipfile

import numpy as np
import pytest
from synthetic_flame import flame_arrays
from typer.testing import CliRunner

from backend.commands.app import app
from backend.models.head_models import install_head_model
from backend.pipeline.catalog import Catalog, head_model_files
from backend.protocol.errors import TurboPortraitError
from flame import load_head_model


def pickled(path, num_vertices=60):
    arrays = flame_arrays(num_vertices) | {"bs_style": "lbs", "bs_type": "lrotmin"}
    path.write_bytes(pickle.dumps(arrays, protocol=2))
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["models", *map(str, arguments)], env={"COLUMNS": "200"})


def refused(code, *arguments, **options):
    with pytest.raises(TurboPortraitError) as caught:
        install_head_model(*arguments, "a licence", **options)
    assert caught.value.code == code
    return caught.value.sentence


def test_a_pickle_is_converted_once_and_is_the_same_head(tmp_path, models):
    path = pickled(tmp_path / "FLAME2023.pkl")
    name, model = install_head_model(path, "a licence")
    assert name == "FLAME2023"
    assert sorted(each.name for each in (models / "head_models").iterdir()) == ["FLAME2023.json", "FLAME2023.npz"]
    before, after = load_head_model(path), Catalog.default().head_model("FLAME2023")
    assert after.checksum == model.checksum
    pose, betas = 0.3 * np.ones((5, 3)), np.ones(10)
    np.testing.assert_array_equal(
        before.forward(betas, betas, pose).vertices, after.forward(betas, betas, pose).vertices
    )


def test_by_command_it_is_listed_with_its_vertices_and_removed(tmp_path):
    added = run("add", "flame", pickled(tmp_path / "x.pkl", 60), "--name", "little")
    assert added.exit_code == 0, added.output
    assert "60 vertices" in added.output
    assert "gpavatar needs a head model of 5023 vertices" in added.output
    line = next(line for line in run().output.splitlines() if " little " in line)
    assert "ready, 60 vertices" in line
    assert "fits gpavatar" not in line
    assert run("remove", "flame", "little").exit_code == 0
    assert set(head_model_files()) == {"open_head"}


@pytest.mark.slow
def test_a_whole_flame_file_fits_gpavatar(tmp_path):
    added = run("add", "flame", pickled(tmp_path / "FLAME2020.pkl", 5023))
    assert "5023 vertices" in added.output
    assert "gpavatar needs" not in added.output
    assert "ready, 5023 vertices, fits gpavatar" in run("list").output


def test_an_npz_is_kept_as_it_is(tmp_path, models):
    arrays = flame_arrays(60)
    path = tmp_path / "mine.npz"
    np.savez(path, **{**arrays, "J_regressor": arrays["J_regressor"].toarray()})
    install_head_model(path, "a licence")
    assert (models / "head_models" / "mine.npz").read_bytes() == path.read_bytes()


def test_what_is_no_head_model_is_refused_and_leaves_nothing(tmp_path, models):
    class Bomb:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    for content, what in ((pickle.dumps(Bomb()), "exec"), (b"<html>", "cannot be read"), (pickle.dumps({}), "missing")):
        (tmp_path / "x.pkl").write_bytes(content)
        assert what in refused("bad_head_model", tmp_path / "x.pkl")
    assert "no head model file" in refused("bad_head_model", tmp_path / "nowhere.npz")
    assert not (tmp_path / "ran").exists()
    assert not (models / "head_models").exists()


def test_an_npz_that_would_unpack_to_gigabytes_is_refused(tmp_path):
    archive = zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open("v_template.npy", "w") as member:
        for _ in range(600):
            member.write(bytes(1 << 20))
    assert (tmp_path / "x.npz").stat().st_size < 10 << 20
    assert "it unpacks to 600 MiB" in refused("bad_head_model", tmp_path / "x.npz")


def test_names_are_plain_and_never_taken_twice(tmp_path):
    path = pickled(tmp_path / "x.pkl")
    for name in ("../x", "a b", "", ".x", "x" * 70, "con", "LPT1", "aux"):
        if name:
            refused("bad_model_name", path, name=name)
    for name in ("open_head", "Open_Head"):
        assert "ships" in refused("bad_model_name", path, name=name)
    install_head_model(path, "a licence")
    refused("model_exists", path)


@pytest.mark.parametrize("name", ["nothing", "../x", ".", "", "x/../../y"])
@pytest.mark.parametrize("kind", ["flame", "refiner", "gpavatar", "sd-turbo", "other"])
def test_only_what_is_installed_can_be_removed(tmp_path, models, kind, name):
    (tmp_path / "x").mkdir()
    (models / "refiners").mkdir(parents=True)
    run_result = run("remove", kind, name)
    assert run_result.exception.code == "model_not_installed"
    assert (tmp_path / "x").exists()
    assert (models / "refiners").exists()
