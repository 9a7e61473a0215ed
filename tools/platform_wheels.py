"""The wheels that packages take on a platform: resolved by uv, fetched by pip, checked by their names.

uv reads conditions (`; sys_platform == "win32"`) as that platform's, pip as this machine's; pip fetches files, uv does
not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.tags import compatible_tags, cpython_tags, mac_platforms
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"


class Platform(NamedTuple):
    """Names of what Blender calls, say, `linux-x64`."""

    uv: str
    tags: tuple[str, ...]
    """Of wheels that work there, by packaging.python.org/specifications/platform-compatibility-tags."""


OLDEST_MACOS = (14, 0)
"""ONNX Runtime is built for it."""
_LEGACY = ("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64")
_GLIBC = (*(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)), *_LEGACY)
PLATFORMS = {
    "windows-x64": Platform("x86_64-pc-windows-msvc", ("win_amd64",)),
    "macos-arm64": Platform("aarch64-apple-darwin", tuple(mac_platforms(OLDEST_MACOS, "arm64"))),
    "macos-x64": Platform("x86_64-apple-darwin", tuple(mac_platforms(OLDEST_MACOS, "x86_64"))),
    "linux-x64": Platform("x86_64-manylinux_2_28", _GLIBC),
}


def wanted(*extras: str, without: Sequence[str] = (), root: Path = ROOT) -> list[str]:
    """What our own package asks for, with extras, as requirements; without some, by name."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    found, seen = list(project["dependencies"]), set()
    left = list(extras)
    while left:
        extra = left.pop()
        seen.add(extra)
        for line in project["optional-dependencies"][extra]:
            requirement = Requirement(line)
            if requirement.name == project["name"]:
                left += requirement.extras - seen
            else:
                found.append(line)
    skipped = set(map(canonicalize_name, without))
    return [line for line in found if canonicalize_name(Requirement(line).name) not in skipped]


def uv(*arguments: object, lines: Sequence[str]) -> None:
    """`uv pip compile` of requirements: pinned as constraints.txt has them, with hashes, wheels only.

    Raises:
        SystemExit: there is no such choice of wheels; uv says why.
    """
    command = [sys.executable, "-m", "uv", "pip", "compile", "-", "--quiet", "--no-header", "--no-annotate"]
    command += ["--only-binary", ":all:", "--generate-hashes", "--constraint", CONSTRAINTS, *arguments]
    environment = {"MACOSX_DEPLOYMENT_TARGET": ".".join(map(str, OLDEST_MACOS))}
    run = subprocess.run(
        list(map(str, command)), input="\n".join(lines), text=True, cwd=ROOT, env=os.environ | environment
    )
    if run.returncode:
        sys.exit(f"uv finds no wheels: {' '.join(map(str, arguments))}")


def lock(lines: Sequence[str], platform: str, python: str, file: Path) -> None:
    """Write the versions and checksums of all wheels that requirements take on one platform and Python ("311")."""
    where = ["--python-platform", PLATFORMS[platform].uv, "--python-version", f"{python[0]}.{python[1:]}"]
    uv(*where, "--output-file", file, lines=lines)


def fetch(requirements: Path, platform: str, python: str, folder: Path) -> None:
    """Download the wheels of a locked file.

    Raises:
        SystemExit: a wheel is for another platform or Python.
    """
    tags = [argument for tag in PLATFORMS[platform].tags for argument in ("--platform", tag)]
    options = ["--no-deps", "--only-binary=:all:", *tags, "--python-version", python, "--dest", folder]
    pip("download", *options, "--require-hashes", "--requirement", requirements)
    if wrong := [name for name in wheel_names(folder) if not fits(name, platform, python)]:
        sys.exit(f"these wheels are not for {platform} and Python {python}: {', '.join(wrong)}")


def wheel_names(folder: Path) -> list[str]:
    """Of a folder, in order."""
    return sorted(path.name for path in folder.glob("*.whl"))


def rank(wheel: str, platform: str, python: str) -> int | None:
    """How well a wheel fits a platform and a Python by its file's name, 0 being best; None if not at all."""
    version, platforms = (int(python[0]), int(python[1:])), PLATFORMS[platform].tags
    usable = [
        *cpython_tags(version, [f"cp{python}"], platforms),
        *compatible_tags(version, f"cp{python}", [*platforms, "any"]),
    ]
    tags = parse_wheel_filename(wheel)[3]
    return next((number for number, tag in enumerate(usable) if tag in tags), None)


def fits(wheel: str, platform: str, python: str) -> bool:
    """Whether a wheel is for a platform and a Python, by its file's name."""
    return rank(wheel, platform, python) is not None


def pip(*arguments: object) -> None:
    """Run this Python's pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, arguments)]
    subprocess.run(command, check=True)
