"""Builds the extension's zips: the add-on, what it imports of ours, wheels, and the backend.

    make extension                                  one zip for all; it fetches its backend from the network
    make extension RUNTIME="linux-x64:311 ..."      zips for one platform and Python, with the light backend in them
    make extension RUNTIME=all                      all of those

    build/extension/            the layout that is packed
        blender_manifest.toml   with the wheels that were collected
        *.py, scene/, ui/ ...   blender_addon
        backend/, flame/        what the add-on imports: `backend.client`, `backend.protocol`, the head model
        wheels/                 what they need: pyzmq and msgspec for each platform and Python
        environment/            the whole backend as a wheel, and the locked packages of the full one
        runtime/                with RUNTIME: all wheels of the light backend, which Blender itself does not see
    dist/                       the zips

Inside Blender all of ours lies below the extension's own package, such as `bl_ext.user_default.turboportrait3d`, where
it meets no other extension's `backend`: imports of `backend` and `flame` are made relative on the way.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from platform_wheels import PLATFORMS, ROOT, fetch, lock, pip, wanted, wheel_names

BUILD, DIST = ROOT / "build", ROOT / "dist"
LAYOUT = BUILD / "extension"

PYTHONS = ("311", "313", "314")
"""Blender 4.2 to 5.0 has 3.11, 5.1 and 5.2 have 3.13; distributions build theirs with newer ones."""
BUNDLED = ("pyzmq", "msgspec")
BLENDERS = {"311": ("4.2.0", "5.1.0"), "313": ("5.1.0", None), "314": ("5.0.0", None)}
"""By Python the first Blender that has it, and the first that has it no more."""
RUNTIMES = (
    *((platform, python) for platform in ("windows-x64", "macos-arm64", "linux-x64") for python in ("311", "313")),
    ("linux-x64", "314"),
)
"""ONNX Runtime has no wheels for Macs with Intel's processors."""
WITHOUT_WHEELS = {"314": ("OpenTimelineIO", "otio-cmx3600-adapter", "otio-fcp-adapter")}
"""By Python what is left out: OpenTimelineIO has none for 3.14 yet, so edits are read from CSV there."""
MAX_ZIP_BYTES = 250_000_000
SPARE_BYTES = 8_000_000
"""Of these for all that is no wheel."""
TORCH_WEIGHTS = "*.safetensors"
"""Of what ships as ONNX as well: with a runtime in the zip there is no room for both."""
ADDON_IMPORTS = ("flame", "backend/__init__.py", "backend/client", "backend/protocol")
OWN_IMPORT = re.compile(r"^( *from )(?=(?:backend|flame)[. ])", re.MULTILINE)


def main() -> None:
    """Build everything anew and print what came of it."""
    asked = sys.argv[1:]
    chosen = RUNTIMES if asked == ["all"] else [tuple(name.split(":")) for name in asked]
    if unknown := set(chosen) - set(RUNTIMES):
        sys.exit(f"unknown: {unknown}; there are: {' '.join(map(':'.join, RUNTIMES))}")
    shutil.rmtree(BUILD, ignore_errors=True)
    copy_addon(LAYOUT)
    build_environment(LAYOUT / "environment", *[TORCH_WEIGHTS] if chosen else [])
    wheels = LAYOUT / "wheels"
    DIST.mkdir(exist_ok=True)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    if not chosen:
        download_wheels(wheels)
        write_manifest(wheel_names(wheels), tuple(PLATFORMS))
        pack(DIST / f"turboportrait3d-{version}.zip")
    for platform, python in chosen:
        for folder in (wheels, LAYOUT / "runtime"):
            shutil.rmtree(folder, ignore_errors=True)
        add_runtime(platform, python)
        for name in wheel_names(LAYOUT / "runtime"):
            if name.startswith(BUNDLED):
                wheels.mkdir(exist_ok=True)
                shutil.copy(LAYOUT / "runtime" / name, wheels)
        write_manifest(wheel_names(wheels), (platform,), *BLENDERS[python])
        archive = DIST / f"turboportrait3d-{version}-{platform}-py{python}.zip"
        pack(archive)
        if archive.stat().st_size > MAX_ZIP_BYTES:
            sys.exit(f"{archive.name} has {archive.stat().st_size / 1e6:.0f} MB; {MAX_ZIP_BYTES / 1e6:.0f} are allowed")


def pack(archive: Path) -> None:
    """The layout as a zip, checked before and after by Blender's tool."""
    extension_tool("validate", LAYOUT)
    extension_tool("build", "--source-dir", LAYOUT, "--output-filepath", archive)
    extension_tool("validate", archive)
    print(f"{archive.name}: {archive.stat().st_size / 1e6:.0f} MB")


def add_runtime(platform: str, python: str) -> None:
    """All wheels of the light backend for one platform and Python, and the list that `unpack_runtime` reads."""
    folder = LAYOUT / "runtime"
    folder.mkdir()
    locked = BUILD / f"light-{platform}-{python}.txt"
    lock(wanted("light", without=WITHOUT_WHEELS.get(python, ())), platform, python, locked)
    fetch(locked, platform, python, folder)
    wheels = [*sorted(folder.glob("*.whl")), *(LAYOUT / "environment").glob("*.whl")]
    squeeze(wheels, MAX_ZIP_BYTES - SPARE_BYTES)
    packed = {("" if path.parent == folder else "../environment/") + path.name: path for path in wheels}
    listed = {
        "platform": platform,
        "python": [int(python[0]), int(python[1:])],
        "bytes": sum(member.file_size for wheel in wheels for member in zipfile.ZipFile(wheel).infolist()),
        "wheels": {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in packed.items()},
    }
    (folder / "runtime.json").write_text(json.dumps(listed, indent=1))


def squeeze(wheels: list[Path], limit: int) -> None:
    """Pack the largest wheels more tightly (LZMA, minutes each) until all of them have so many bytes at most."""
    for wheel in sorted(wheels, key=lambda path: -path.stat().st_size):
        if sum(path.stat().st_size for path in wheels) <= limit:
            return
        small = wheel.with_suffix(".part")
        with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(small, "w", zipfile.ZIP_LZMA) as sink:
            for member in source.infolist():
                sink.writestr(member.filename, source.read(member))
        print(f"{wheel.name}: {wheel.stat().st_size >> 20} MB, packed again {small.stat().st_size >> 20} MB")
        small.replace(wheel)


def copy_addon(layout: Path) -> None:
    """The add-on with what it imports of ours, below one package of any name."""
    ignored = shutil.ignore_patterns("__pycache__")
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


def build_environment(folder: Path, *left_out: str) -> None:
    """The whole backend as a wheel: what a runtime unpacks and `Install full backend` installs."""
    source = BUILD / "source"
    for name in ("flame", "backend"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", *left_out))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", "--no-deps", "--wheel-dir", folder, source)


def download_wheels(folder: Path) -> None:
    """The bundled libraries in the pinned versions, for each platform and Python."""
    for platform in PLATFORMS:
        for python in PYTHONS:
            locked = BUILD / f"bundled-{platform}-{python}.txt"
            lock(BUNDLED, platform, python, locked)
            fetch(locked, platform, python, folder / locked.stem)
    for wheel in folder.rglob("*.whl"):
        wheel.replace(folder / wheel.name)


def write_manifest(
    wheels: list[str], for_platforms: tuple[str, ...], oldest: str | None = None, too_new: str | None = None
) -> None:
    """The manifest with the wheels' paths, before its first table; with the Blenders, from the oldest on."""
    text = (ROOT / "blender_manifest.toml").read_text()
    listed = "".join(f'  "./wheels/{name}",\n' for name in wheels)
    platforms = ", ".join(f'"{name}"' for name in for_platforms)
    if oldest:
        text = re.sub(r'^blender_version_min = ".*"', f'blender_version_min = "{oldest}"', text, flags=re.MULTILINE)
    head, table, tail = text.partition("\n[permissions]")
    added = f"\nplatforms = [{platforms}]\nwheels = [\n{listed}]\n"
    if too_new:
        added += f'blender_version_max = "{too_new}"\n'
    (LAYOUT / "blender_manifest.toml").write_text(head + added + table + tail)


def extension_tool(*arguments: object) -> None:
    """`blender --command extension`, which runs in any Python."""
    found = importlib.util.find_spec("bpy")
    if found is None:
        sys.exit("bpy is missing: make setup")
    (tool,) = Path(found.origin).parent.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py")
    subprocess.run([sys.executable, tool, *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
