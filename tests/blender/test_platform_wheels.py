"""The wheels that the zips bring and *Install full backend* fetches: for their platform, pinned, with checksums."""

import re
from pathlib import Path

import build_extension
import platform_wheels
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKED = sorted((ROOT / "blender_addon" / "environment").glob("*.txt"))


@pytest.mark.parametrize(
    ("wheel", "platform", "python", "fit"),
    [
        ("numpy-1.26.4-cp311-cp311-win_amd64.whl", "windows-x64", "311", True),
        ("numpy-1.26.4-cp311-cp311-win_amd64.whl", "windows-x64", "313", False),
        ("numpy-1.26.4-cp311-cp311-win_amd64.whl", "linux-x64", "311", False),
        ("opencv_python_headless-4.11.0.86-cp37-abi3-macosx_13_0_arm64.whl", "macos-arm64", "313", True),
        ("opencv_python_headless-4.11.0.86-cp37-abi3-macosx_13_0_arm64.whl", "macos-x64", "313", False),
        ("onnxruntime-1.32.0-cp311-cp311-macosx_15_0_arm64.whl", "macos-arm64", "311", False),
        ("safetensors-0.8.0-cp38-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "linux-x64", "314", True),
        ("x-1-cp313-cp313-manylinux_2_39_x86_64.whl", "linux-x64", "313", False),
        ("x-1-cp313-cp313-musllinux_1_2_x86_64.whl", "linux-x64", "313", False),
        ("safetensors-0.8.0-cp312-abi3-win_amd64.whl", "windows-x64", "311", False),
        ("rich-15.0.0-py3-none-any.whl", "windows-x64", "313", True),
        ("psutil-7.2.2-cp36-abi3-win_arm64.whl", "windows-x64", "313", False),
        ("x-1-cp313-cp313t-win_amd64.whl", "windows-x64", "313", False),
        ("x-1-cp313-cp313-macosx_10_13_universal2.whl", "macos-arm64", "313", True),
    ],
)
def test_wheels_are_for_their_platform_and_python(wheel, platform, python, fit):
    assert platform_wheels.fits(wheel, platform, python) is fit


def test_what_is_wanted_follows_extras_and_leaves_out_what_has_no_wheels():
    light, full = platform_wheels.wanted("light"), platform_wheels.wanted("backend")
    assert {"numpy", "pyzmq", "onnxruntime"} <= set(light)
    assert set(light) < set(full)
    assert "scikit-image" in full, "an extra of an extra"
    assert set(light) - set(platform_wheels.wanted("light", without=("opentimelineio",))) == {"OpenTimelineIO"}


def test_every_runtime_is_one_of_a_blender():
    assert {python for _, python in build_extension.RUNTIMES} == set(build_extension.BLENDERS)
    assert {platform for platform, _ in build_extension.RUNTIMES} <= set(build_extension.PLATFORMS)


@pytest.mark.parametrize("file", LOCKED, ids=lambda path: path.stem)
def test_the_full_backend_is_locked(file):
    """Pinned as constraints.txt has it, each by one checksum, wheels only, and the download's size before all."""
    first, *options = file.read_text().splitlines()
    pins = [line for line in options if not line.startswith("--")]
    assert int(re.fullmatch(r"# (\d+) bytes", first)[1]) > 100 << 20
    assert "--only-binary :all:" in options
    assert all(re.fullmatch(r"[\w.-]+==[\w.+]+ --hash=sha256:[0-9a-f]{64}", pin) for pin in pins)
    version = dict(pin.split(" ")[0].split("==") for pin in pins)
    python = f"3.{file.stem.split('-')[2][1:]}"
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pinned = Requirement(line)
            name = canonicalize_name(pinned.name)
            if name in version and (pinned.marker is None or pinned.marker.evaluate({"python_version": python})):
                assert pinned.specifier.contains(version[name]), name
    for name in ("torch", "diffusers", "transformers", "peft", "onnxruntime", "numpy", "pyzmq"):
        assert name in version
    cuda = {name for name in version if name.startswith(("nvidia-", "triton"))}
    assert bool(cuda) == file.stem.endswith("-cuda")


def test_every_blender_with_wheels_can_have_the_full_backend():
    found = {file.stem.rpartition("-")[0] for file in LOCKED}
    assert found == {f"{p}-{python}" for p in ("windows-x64", "macos-arm64", "linux-x64") for python in (311, 313)}
