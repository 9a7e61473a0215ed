"""Builds the extension's zip, `make extension`: the add-on, what it imports of ours, wheels, and the backend.

    build/extension/            the layout that is packed
        blender_manifest.toml   with the wheels that were collected
        *.py, scene/, ui/ ...   blender_addon
        backend/, flame/        what the add-on imports: `backend.client`, `backend.protocol`, the head model
        wheels/                 what they need: pyzmq and msgspec for each platform and Python
        environment/            the whole backend as a wheel, and the pinned versions of its dependencies
    dist/                       the zip

Inside Blender all of ours lies below the extension's own package, such as `bl_ext.user_default.turboportrait3d`, where
it meets no other extension's `backend`: imports of `backend` and `flame` are made relative on the way.
"""

from __future__ import annotations

import importlib.util
import re
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
ADDON_IMPORTS = ("flame", "backend/__init__.py", "backend/client", "backend/protocol")
NOT_IN_BLENDER = ("__pycache__", "torch_model.py")
OWN_IMPORT = re.compile(r"^( *from )(?=(?:backend|flame)[. ])", re.MULTILINE)


def main() -> None:
    """Build everything anew and print what came of it."""
    shutil.rmtree(BUILD, ignore_errors=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    copy_addon(LAYOUT)
    build_environment(LAYOUT / "environment")
    wheels = LAYOUT / "wheels"
    download_wheels(wheels)
    write_manifest(sorted(path.name for path in wheels.iterdir()))
    DIST.mkdir(exist_ok=True)
    extension_tool("validate", LAYOUT)
    extension_tool("build", "--source-dir", LAYOUT, "--output-dir", DIST)
    extension_tool("validate", DIST / f"turboportrait3d-{project['version']}.zip")


def copy_addon(layout: Path) -> None:
    """The add-on with what it imports of ours, below one package of any name."""
    ignored = shutil.ignore_patterns(*NOT_IN_BLENDER)
    shutil.copytree(ROOT / "blender_addon", layout, ignore=ignored)
    shutil.copy(ROOT / "LICENSE", layout)
    for name in ADDON_IMPORTS:
        (layout / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, layout / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, layout / name)
    for path in layout.rglob("*.py"):
        dots = "." * len(path.relative_to(layout).parts)
        path.write_text(OWN_IMPORT.sub(rf"\g<1>{dots}", path.read_text(encoding="utf-8")), encoding="utf-8")


def build_environment(folder: Path) -> None:
    """What `Install backend` installs: the whole backend as a wheel, and the versions that it was tested with."""
    source = BUILD / "source"
    for name in ("flame", "backend"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", "--no-deps", "--wheel-dir", folder, source)
    shutil.copy(ROOT / "constraints.txt", folder)


def download_wheels(folder: Path) -> None:
    """The bundled libraries in the pinned versions, for each platform and Python."""
    wanted = [f"{name}=={pinned_versions()[name]}" for name in BUNDLED]
    for tags in PLATFORMS.values():
        for python in PYTHONS:
            platforms = [argument for tag in tags for argument in ("--platform", tag)]
            options = ["--no-deps", "--only-binary=:all:", *platforms, "--python-version", python]
            pip("download", *options, "--dest", folder, *wanted)


def pinned_versions() -> dict[str, str]:
    """By package the version in constraints.txt."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))


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
