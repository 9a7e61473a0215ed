"""The extension as Blender installs it keeps to its own package, beside another extension with a `backend`."""

import ast
import json
import subprocess
import sys
import zipfile
from importlib.metadata import distribution, version
from pathlib import Path

import build_extension
import pytest

ROOT = Path(__file__).parents[2]

INSTALLING = """
import json, sys
sys.path += json.loads(sys.argv[2])
import bpy
for archive in json.loads(sys.argv[1]):
    bpy.ops.extensions.package_install_files(filepath=archive, repo="user_default", enable_on_install=True)
assert bpy.ops.turboportrait.add_head() == {"FINISHED"}
assert any(thing.turboportrait.is_head for thing in bpy.data.objects)
import backend
import backend.client
found = [backend.WHOSE, backend.client.WHOSE]
own = sorted({name.split(".turboportrait3d.")[1] for name in sys.modules if ".turboportrait3d." in name})
print("@found " + json.dumps([*found, "flame" in sys.modules, "backend.client.client" in own, "flame" in own]))
"""
MANIFEST = """schema_version = "1.0.0"
id = "other_backend"
version = "1.0.0"
name = "Another"
tagline = "An extension with a backend of its own"
maintainer = "Nobody"
type = "add-on"
blender_version_min = "4.2.0"
license = ["SPDX:GPL-3.0-or-later"]
wheels = ["./wheels/other-1.0-py3-none-any.whl"]
"""


@pytest.fixture(scope="module")
def layout(tmp_path_factory) -> Path:
    """What the builder packs of ours; the libraries are this Python's own."""
    folder = tmp_path_factory.mktemp("layout") / "extension"
    build_extension.copy_addon(folder)
    (folder / "blender_manifest.toml").write_text((ROOT / "blender_manifest.toml").read_text())
    return folder


def packed(folder: Path) -> Path:
    """A zip of a folder, beside it."""
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder))
    return archive


@pytest.fixture(scope="module")
def other_extension(tmp_path_factory) -> Path:
    """Another extension's zip, whose wheel brings a top-level `backend`."""
    folder = tmp_path_factory.mktemp("other") / "extension"
    (folder / "wheels").mkdir(parents=True)
    (folder / "blender_manifest.toml").write_text(MANIFEST)
    (folder / "__init__.py").write_text("import backend\n\n\ndef register(): pass\n\n\ndef unregister(): pass\n")
    with zipfile.ZipFile(folder / "wheels" / "other-1.0-py3-none-any.whl", "w") as wheel:
        for name in ("backend/__init__.py", "backend/client.py"):
            wheel.writestr(name, 'WHOSE = "theirs"\n')
        info = "other-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return packed(folder)


def test_all_of_ours_is_imported_from_the_extensions_own_package(layout):
    absolute = [
        f"{path.relative_to(layout)}: {node.lineno}"
        for path in layout.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
        if name.split(".")[0] in ("backend", "flame", "blender_addon")
    ]
    assert not absolute
    assert (layout / "backend" / "client" / "client.py").exists()


def test_what_is_bundled_has_the_tested_version():
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(f"{name}=={version(name)}" in pins for name in build_extension.BUNDLED)


@pytest.mark.slow
@pytest.mark.parametrize("ours_first", [True, False])
def test_another_extension_may_have_a_backend(layout, other_extension, ours_first, tmp_path):
    pytest.importorskip("bpy", reason="bpy is not installed: pip install bpy")
    archives = [str(packed(layout)), str(other_extension)]
    # Without this checkout on the path: `-I -S` leaves out what an editable installation puts there.
    libraries = sorted({str(distribution(name).locate_file("")) for name in ("bpy", "numpy", "pyzmq", "msgspec")})
    run = subprocess.run(
        [
            *(sys.executable, "-I", "-S", "-c", INSTALLING),
            *(json.dumps(archives if ours_first else archives[::-1]), json.dumps(libraries)),
        ],
        env={"BLENDER_USER_RESOURCES": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "@found" in run.stdout, run.stdout[-3000:] + run.stderr[-3000:]
    (said,) = [line for line in run.stdout.splitlines() if line.startswith("@found ")]
    assert json.loads(said.removeprefix("@found ")) == ["theirs", "theirs", False, True, True]
