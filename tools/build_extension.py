"""Builds the extension's zip, `make extension`: the add-on, its wheels, and the backend for `Install backend`.

    build/extension/            the layout that is packed
        blender_manifest.toml   with the wheels that were collected
        *.py, scene/, ui/ ...   blender_addon
        wheels/                 ours with what Blender needs, pyzmq and msgspec for each platform and Python
        environment/            the rest of the backend as a wheel, and the pinned versions of its dependencies
    dist/                       the zip

The two wheels of ours divide the source between them, so that nothing is in the zip twice. Their version ends in a
digest of Blender's half, such as 0.1.0+7d3f0a12c4: Blender keeps an installed wheel whose name and version it knows, so
a newer zip of the same version would run with the older zip's wheel.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD, DIST = ROOT / "build", ROOT / "dist"
LAYOUT = BUILD / "extension"

PYTHONS = ("311", "313", "314")
"""Blender 4.2 to 5.0 has 3.11, 5.1 and 5.2 have 3.13; distributions build theirs with newer ones."""
PLATFORMS = {
    "windows-x64": ("win_amd64",),
    "macos-arm64": ("macosx_11_0_arm64",),
    "macos-x64": ("macosx_10_9_x86_64", "macosx_10_13_x86_64", "macosx_10_15_x86_64", "macosx_10_15_universal2"),
    "linux-x64": ("manylinux2014_x86_64", "manylinux_2_26_x86_64", "manylinux_2_28_x86_64"),
}
"""Blender's name to pip's."""
BUNDLED = ("pyzmq", "msgspec")
LIGHT = ("flame", "backend/__init__.py", "backend/client", "backend/protocol")
"""What Blender imports; the rest of `backend`, and what needs torch, is the backend's alone."""
TORCH_ONLY = ("flame/torch_model.py",)


def main() -> None:
    """Build everything anew and print what came of it."""
    shutil.rmtree(BUILD, ignore_errors=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    shutil.copytree(ROOT / "blender_addon", LAYOUT, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "LICENSE", LAYOUT)
    wheels, environment = LAYOUT / "wheels", LAYOUT / "environment"
    environment.mkdir()
    shutil.copy(ROOT / "constraints.txt", environment)
    build_wheels(project, wheels, environment)
    download_wheels(wheels)
    write_manifest(sorted(path.name for path in wheels.iterdir()))
    DIST.mkdir(exist_ok=True)
    extension_tool("validate", LAYOUT)
    extension_tool("build", "--source-dir", LAYOUT, "--output-dir", DIST)
    extension_tool("validate", DIST / f"turboportrait3d-{project['version']}.zip")


def build_wheels(project: dict, light_to: Path, rest_to: Path) -> None:
    """Ours in two halves: for Blender, and for the backend's own environment."""
    light, rest = BUILD / "light", BUILD / "rest"
    for name in ("flame", "backend"):
        shutil.copytree(ROOT / name, rest / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in LIGHT:
        (light / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(rest / name, light / name)
    for name in TORCH_ONLY:
        (rest / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(light / name, rest / name)
    version = f"{project['version']}+{digest(light)[:10]}"
    common = {key: project[key] for key in ("description", "requires-python", "license")} | {"version": version}
    own = f"{project['name']}=={version}"
    needs = [own, *project["optional-dependencies"]["backend"]]
    write_project(light, {**common, "name": project["name"], "dependencies": project["dependencies"]})
    write_project(
        rest, {**common, "name": f"{project['name']}-backend", "dependencies": needs}, scripts=project["scripts"]
    )
    pip("wheel", "--no-deps", "--wheel-dir", light_to, light)
    pip("wheel", "--no-deps", "--wheel-dir", rest_to, rest)


def digest(folder: Path) -> str:
    """SHA-256 of a folder's files, their names and bytes, as hexadecimal digits."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def write_project(folder: Path, fields: dict, scripts: dict[str, str] | None = None) -> None:
    """A pyproject.toml that packs all files of the folder; JSON's strings and lists are TOML's too."""
    lines = ["[build-system]", 'requires = ["setuptools>=75"]', 'build-backend = "setuptools.build_meta"', "[project]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    lines += ["[project.scripts]", *(f"{key} = {json.dumps(value)}" for key, value in (scripts or {}).items())]
    # Both halves are parts of the same packages: none of them may claim to be whole.
    lines += ["[tool.setuptools.packages.find]", "namespaces = true", 'include = ["flame*", "backend*"]']
    lines += ["[tool.setuptools.package-data]", '"*" = ["**/*"]']
    (folder / "pyproject.toml").write_text("\n".join(lines) + "\n")


def download_wheels(folder: Path) -> None:
    """The bundled libraries in the pinned versions, for each platform and Python."""
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    wanted = [f"{name}=={pins[name]}" for name in BUNDLED]
    for tags in PLATFORMS.values():
        for python in PYTHONS:
            platforms = [argument for tag in tags for argument in ("--platform", tag)]
            options = ["--no-deps", "--only-binary=:all:", *platforms, "--python-version", python]
            pip("download", *options, "--dest", folder, *wanted)


def write_manifest(wheels: list[str]) -> None:
    """The manifest with the wheels' paths, before its first table."""
    text = (ROOT / "blender_manifest.toml").read_text()
    listed = "".join(f'  "./wheels/{name}",\n' for name in wheels)
    platforms = ", ".join(f'"{name}"' for name in PLATFORMS)
    head, table, tail = text.partition("\n[permissions]")
    added = f"\nplatforms = [{platforms}]\nwheels = [\n{listed}]\n"
    (LAYOUT / "blender_manifest.toml").write_text(head + added + table + tail)


def extension_tool(*arguments: object) -> None:
    """`blender --command extension`, which runs in any Python."""
    found = importlib.util.find_spec("bpy")
    if found is None:
        sys.exit("bpy is missing: make setup")
    (tool,) = Path(found.origin).parent.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py")
    subprocess.run([sys.executable, tool, *map(str, arguments)], check=True)


def pip(*arguments: object) -> None:
    """Run this Python's pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, arguments)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
