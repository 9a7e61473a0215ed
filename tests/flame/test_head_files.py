"""What is read, and what is refused."""

import os
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest
import scipy.sparse as sp
from synthetic_flame import flame_arrays

from flame import HeadModelError, load_head_model


@pytest.fixture
def small():
    return flame_arrays(num_vertices=60)


def write(path, arrays, protocol=2):
    path.write_bytes(pickle.dumps(arrays, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_every_pickle_protocol(tmp_path, small, protocol):
    model = load_head_model(write(tmp_path / "m.pkl", small, protocol))
    np.testing.assert_allclose(model.J_regressor, small["J_regressor"].toarray(), rtol=1e-6)
    assert model.parents.tolist() == [-1, 0, 1, 1, 1]
    assert (model.num_shape, model.num_expression) == (300, 100)


@pytest.mark.parametrize("kind", [sp.csc_matrix, sp.csr_matrix, sp.coo_matrix, sp.csc_array, sp.csr_array, np.asarray])
def test_every_sparse_kind(tmp_path, small, kind):
    dense = small["J_regressor"].toarray()
    model = load_head_model(write(tmp_path / "m.pkl", {**small, "J_regressor": kind(dense)}))
    np.testing.assert_allclose(model.J_regressor, dense, rtol=1e-6)


@pytest.fixture
def chumpy(monkeypatch):
    """Classes with chumpy's names and pickled state; chumpy itself does not install on this Python."""

    class Ch:
        def __init__(self, x):
            self.x = np.array(x)
            self._dirty_vars = {"x"}

    class Select(Ch):
        def __init__(self, a, idxs, preferred_shape):
            self.a, self.idxs, self.preferred_shape = a, idxs, preferred_shape

    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    for module, cls in (("chumpy.ch", Ch), ("chumpy.reordering", Select)):
        cls.__module__, cls.__qualname__ = module, cls.__name__
        monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(**{cls.__name__: cls}))
    return types.SimpleNamespace(Ch=Ch, Select=Select)


@pytest.mark.parametrize("protocol", [0, 2])
def test_chumpy_arrays(tmp_path, small, chumpy, protocol):
    shapedirs = small["shapedirs"]
    picked = chumpy.Select(chumpy.Ch(shapedirs.ravel()), np.arange(shapedirs.size), shapedirs.shape)
    arrays = {**small, "v_template": chumpy.Ch(small["v_template"]), "shapedirs": picked}
    model = load_head_model(write(tmp_path / "m.pkl", arrays, protocol))
    np.testing.assert_allclose(model.v_template, small["v_template"], rtol=1e-6)
    np.testing.assert_allclose(model.expressiondirs, shapedirs[:, :, 300:], rtol=1e-6)


class Call:
    """Unpickles to a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "system"),
        (eval, "eval"),
        (getattr, "getattr"),
        (subprocess.check_output, "check_output"),
        (np.load, "load"),
        (np.lib.format.open_memmap, "open_memmap"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_calls_is_refused_by_name(tmp_path, small, function, name, protocol):
    mark = tmp_path / "ran"
    path = write(tmp_path / "m.pkl", {**small, "extra": Call(function, f"touch {mark}")}, protocol)
    with pytest.raises(HeadModelError, match=name):
        load_head_model(path)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x02", b"not a model at all", b"PK\x03\x04 broken", b"\x80\x04N."])
def test_nonsense_is_an_error_that_names_the_file(tmp_path, content):
    path = tmp_path / "nonsense.pkl"
    path.write_bytes(content)
    with pytest.raises(HeadModelError, match=r"nonsense\.pkl"):
        load_head_model(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": None}, "weights missing"),
        ({"weights": np.ones((60, 4))}, "weights has shape"),
        ({"v_template": np.ones((60, 2))}, "v_template|shapedirs"),
        ({"shapedirs": np.ones((60, 3, 33))}, "num_shape"),
        ({"f": np.array([[0, 1, 60]])}, "points beyond"),
        ({"f": np.array([[0, 1, -1]])}, "points beyond"),
        ({"kintree_table": np.array([[0, 4, 1, 1, 1], range(5)])}, "kintree_table"),
        ({"v_template": np.full((60, 3), np.nan)}, "not finite"),
        ({"num_shape": 10, "expression_names": ["a"]}, "names"),
        ({"num_shape": -1}, "num_shape"),
        ({"posedirs": np.full((60, 3, 36), 1e30)}, "posedirs"),
        ({"region_x": np.array([60])}, "region_x"),
        ({"J_regressor": np.full((5, 60), None)}, "J_regressor missing"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, small, change, message):
    arrays = {k: v for k, v in {**small, **change}.items() if v is not None}
    with pytest.raises(HeadModelError, match=message):
        load_head_model(write(tmp_path / "m.pkl", arrays))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(HeadModelError, match="gone"):
        load_head_model(tmp_path / "gone.npz")


def test_a_changed_file_is_read_again(tmp_path, small):
    path = write(tmp_path / "m.pkl", small)
    first = load_head_model(path)
    write(path, {**small, "v_template": small["v_template"] + 1, "padding": 0})
    second = load_head_model(path)
    assert first.checksum != second.checksum
    np.testing.assert_allclose(second.v_template - first.v_template, 1, atol=1e-5)


@pytest.mark.parametrize("bad", [np.full(3, np.nan), np.zeros(301), np.zeros((2, 2))])
def test_bad_coefficients_are_refused(flame_model, bad):
    with pytest.raises(ValueError, match="identity"):
        flame_model.forward(betas=bad)


def test_bad_pose_is_refused(flame_model):
    with pytest.raises(ValueError, match="pose"):
        flame_model.forward(pose=np.full((5, 3), np.inf))
