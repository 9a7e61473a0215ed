"""Locks what *Install full backend* installs: `make lock [TORCH_WHEELS=FOLDER]`, after any change of constraints.txt.

Writes `blender_addon/environment/PLATFORM-PYTHON-BUILD.txt`, BUILD being `cpu` or `cuda`: for pip, with one checksum
for each package, the size of the download in the first line, and nothing that is not a wheel. The package index has
torch's CPU build for Windows and macOS and its CUDA build for Linux. Torch's own index has the others; FOLDER holds the
wheels of its CPU build for Linux, and what is not there is not offered.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import parse_wheel_filename
from platform_wheels import CONSTRAINTS, ROOT, fits, rank, wanted

FOLDER = ROOT / "blender_addon" / "environment"
MARKERS = {
    "windows-x64": {
        "sys_platform": "win32",
        "platform_machine": "AMD64",
        "platform_system": "Windows",
        "os_name": "nt",
    },
    "macos-arm64": {"sys_platform": "darwin", "platform_machine": "arm64", "platform_system": "Darwin"},
    "linux-x64": {"sys_platform": "linux", "platform_machine": "x86_64", "platform_system": "Linux"},
}
PYTHONS = ("311", "313")
CUDA_ONLY = ("nvidia-", "cuda-", "triton")
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
PROJECT = """\
[project]
name = "full-backend"
version = "0"
requires-python = "{pythons}"
dependencies = {wanted}
[tool.uv]
constraint-dependencies = {constraints}
environments = {environments}
no-build = {wheels_only}
"""


def main() -> None:
    """Write all files anew and print their sizes."""
    torch_wheels = sorted(Path(sys.argv[1]).glob("torch-*+cpu-*.whl")) if sys.argv[1:] else []
    packages = resolved(wanted("backend"))
    for old in FOLDER.glob("*.txt"):
        old.unlink()
    FOLDER.mkdir(exist_ok=True)
    for platform in MARKERS:
        for python in PYTHONS:
            chosen = wheels_for(packages, platform, python)
            build = "cuda" if any(name.startswith(CUDA_ONLY) for name in chosen) else "cpu"
            write(FOLDER / f"{platform}-{python}-{build}.txt", chosen)
            for torch in torch_wheels:
                if build == "cuda" and fits(torch.name, platform, python):
                    plain = {name: wheel for name, wheel in chosen.items() if not name.startswith(CUDA_ONLY)}
                    version = str(parse_wheel_filename(torch.name)[1])
                    checksum = "sha256:" + hashlib.sha256(torch.read_bytes()).hexdigest()
                    plain["torch"] = (version, {"hash": checksum, "size": torch.stat().st_size})
                    write(FOLDER / f"{platform}-{python}-cpu.txt", plain, f"--extra-index-url {TORCH_INDEX}")


def resolved(
    requirements: list[str],
    constraints: Path = CONSTRAINTS,
    platforms: Iterable[str] = tuple(MARKERS),
    pythons: str = ">=3.11,<3.14",
    wheels_only: bool = True,
) -> list[dict]:
    """The packages of uv's lock, each with its version, its dependencies and its wheels' checksums and sizes."""
    pins = [line for line in constraints.read_text().splitlines() if line and not line.startswith("#")]
    environments = [
        " and ".join(f"{key} == '{marks[key]}'" for key in ("sys_platform", "platform_machine"))
        for marks in map(MARKERS.get, platforms)
    ]
    text = PROJECT.format(
        wanted=json.dumps(requirements),
        constraints=json.dumps(pins),
        environments=json.dumps(environments),
        pythons=pythons,
        wheels_only=json.dumps(wheels_only),
    )
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "pyproject.toml").write_text(text)
        subprocess.run([sys.executable, "-m", "uv", "lock", "--quiet"], cwd=name, check=True)
        return tomllib.loads((Path(name) / "uv.lock").read_text())["package"]


def wheels_for(packages: list[dict], platform: str, python: str) -> dict[str, tuple[str, dict]]:
    """By name the version and the wheel of all that is installed there, walking from what we ask for."""
    there = MARKERS[platform] | {
        "python_version": f"{python[0]}.{python[1:]}",
        "python_full_version": f"{python[0]}.{python[1:]}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }

    def holds(marker: str | None) -> bool:
        return marker is None or Marker(marker).evaluate(there)

    def of(name: str) -> dict:
        (found,) = [
            package
            for package in packages
            if package["name"] == name
            and any(map(holds, package.get("resolution-markers") or [None]))
            and ("wheels" in package or "sdist" in package or name == "full-backend")
        ]
        return found

    chosen: dict[str, tuple[str, dict]] = {}
    left = [("full-backend", ())]
    seen = set()
    while left:
        name, extras = left.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        package = of(name)
        dependencies = list(package.get("dependencies", []))
        for extra in extras:
            dependencies += package.get("optional-dependencies", {}).get(extra, [])
        left += [(d["name"], tuple(d.get("extra", ()))) for d in dependencies if holds(d.get("marker"))]
        if name != "full-backend":
            chosen[name] = (package["version"], best_wheel(package, platform, python))
    return dict(sorted(chosen.items()))


def best_wheel(package: dict, platform: str, python: str) -> dict:
    """The package's wheel for a platform and a Python that pip would take."""
    if not package.get("wheels"):
        return package["sdist"]
    ranks = [(rank(wheel["url"].rsplit("/", 1)[1], platform, python), wheel) for wheel in package["wheels"]]
    fitting = [(order, wheel) for order, wheel in ranks if order is not None]
    if not fitting:
        sys.exit(f"{package['name']} {package['version']} has no wheel for {platform} and Python {python}")
    return min(fitting, key=lambda each: each[0])[1]


def write(file: Path, chosen: dict[str, tuple[str, dict]], *options: str) -> None:
    """A file for `pip install --requirement`, whose first line tells the bytes of the download."""
    size = sum(wheel["size"] for _, wheel in chosen.values())
    lines = [f"{name}=={version} --hash={wheel['hash']}" for name, (version, wheel) in chosen.items()]
    file.write_text("\n".join([f"# {size} bytes", "--only-binary :all:", *options, *lines, ""]))
    print(f"{file.name}: {len(chosen)} packages, {size / 2**20:.0f} MB")


if __name__ == "__main__":
    main()
