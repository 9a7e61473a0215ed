"""The wheel of ours in the zip: Blender replaces an older one of the same version, by its own wheel manager."""

import importlib.util
import runpy
import shutil
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def apply_wheels():
    """apply_wheels(wheel, folder): what Blender does with an enabled extension's wheels."""
    found = importlib.util.find_spec("bpy")
    scripts = list(Path(found.origin).parent.glob("*/scripts/modules/_bpy_internal/extensions")) if found else []
    if not scripts:
        pytest.skip("bpy is not installed: pip install bpy")
    manager = runpy.run_path(str(scripts[0] / "wheel_manager.py"))

    def run(wheel: Path, folder: Path) -> Path:
        installed = folder / "lib" / "site-packages"
        problems = []
        manager["apply_action"](
            local_dir=str(folder),
            local_dir_site_packages=str(installed),
            wheel_list=[("turboportrait3d", [str(wheel)])],
            error_fn=problems.append,
            remove_error_fn=lambda path, error: problems.append(error),
            debug=False,
        )
        assert not problems
        return installed

    return run


@pytest.fixture(scope="module")
def builder():
    """tools/build_extension.py, as a dictionary of its names."""
    return runpy.run_path(str(ROOT / "tools" / "build_extension.py"))


@pytest.fixture
def build(builder, tmp_path):
    """build(folder) -> the wheel for Blender, made of that folder's sources."""

    def run(source: Path) -> Path:
        version = f"0.1.0+{builder['digest'](source)[:10]}"
        builder["write_project"](source, {"name": "turboportrait3d", "version": version, "requires-python": ">=3.11"})
        builder["pip"]("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", source / "wheels", source)
        (wheel,) = (source / "wheels").iterdir()
        return wheel

    return run


def test_blender_replaces_a_wheel_of_the_same_version_with_other_contents(build, apply_wheels, tmp_path):
    wheels = []
    for number, name in enumerate(("old", "new")):
        source = tmp_path / name
        shutil.copytree(ROOT / "backend" / "protocol", source / "backend" / "protocol")
        (source / "backend" / "marker.py").write_text(f"VALUE = {number}\n")
        if name == "old":
            (source / "backend" / "gone.py").touch()
        wheels.append(build(source))
    assert wheels[0].name != wheels[1].name
    assert all("backend/protocol/errors.py" in zipfile.ZipFile(wheel).namelist() for wheel in wheels)
    for number, wheel in enumerate(wheels):
        installed = apply_wheels(wheel, tmp_path / "blender")
        assert (installed / "backend" / "marker.py").read_text() == f"VALUE = {number}\n"
    assert not (installed / "backend" / "gone.py").exists()
    assert len(list(installed.glob("*.dist-info"))) == 1


def test_the_same_contents_are_the_same_version(builder, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "x.py").write_text("1")
    assert builder["digest"](tmp_path / "a") == builder["digest"](tmp_path / "b")
    (tmp_path / "b" / "inner" / "x.py").rename(tmp_path / "b" / "inner" / "y.py")
    assert builder["digest"](tmp_path / "a") != builder["digest"](tmp_path / "b")
