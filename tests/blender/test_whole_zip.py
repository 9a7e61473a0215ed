"""The whole zip in Blender 4.2, 4.5 and 5.0, where there is no network, no other Python, and other extensions.

`make try-zip ZIP=dist/turboportrait3d-...-linux-x64-py311.zip`: minutes each, so it is run before a release and not
with the rest, which tries the same code with little wheels (inside/connection/test_bundled.py).
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import skimage.io
from PIL import Image
from test_in_blender import blender_path

ZIP = os.environ.get("TURBOPORTRAIT_ZIP", "")
SCRIPT = Path(__file__).parent / "whole_zip" / "three_clicks.py"
UNSHARE = shutil.which("unshare")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not ZIP, reason="TURBOPORTRAIT_ZIP names no zip: make try-zip"),
    pytest.mark.skipif(not UNSHARE or os.geteuid() != 0, reason="network namespaces need root and unshare"),
]
WITHOUT_NETWORK = [UNSHARE, "--net", "sh", "-c", 'ip link set lo up; PATH="$NOWHERE"; exec "$@"', "sh"]
MANIFEST = """schema_version = "1.0.0"
id = "stranger"
version = "1.0.0"
name = "Another"
tagline = "An extension with a backend and a numpy of its own"
maintainer = "Nobody"
type = "add-on"
blender_version_min = "4.2.0"
license = ["SPDX:GPL-3.0-or-later"]
wheels = ["./wheels/backend-1.0-py3-none-any.whl", "./wheels/numpy-9.9-py3-none-any.whl"]
"""


@pytest.fixture
def place():
    """A folder that every user may enter, with a space and letters of two alphabets."""
    with tempfile.TemporaryDirectory(prefix="zip-") as name:
        folder = Path(name) / "Mein Büro 日本"
        folder.mkdir()
        for path in (Path(name), folder):
            path.chmod(0o777)
        skimage.io.imsave(folder / "astronaut.png", skimage.data.astronaut(), check_contrast=False)
        yield folder


def stranger(place: Path) -> Path:
    """Another extension's zip, whose wheels bring a `backend` and a `numpy` that end whoever imports them."""
    with zipfile.ZipFile(place / "stranger.zip", "w") as archive:
        archive.writestr("blender_manifest.toml", MANIFEST)
        archive.writestr("__init__.py", "def register(): pass\n\n\ndef unregister(): pass\n")
        for name, version in (("backend", "1.0"), ("numpy", "9.9")):
            path = place / f"{name}-{version}-py3-none-any.whl"
            with zipfile.ZipFile(path, "w") as wheel:
                wheel.writestr(f"{name}/__init__.py", "raise SystemExit('a stranger’s package')\n")
                info = f"{name}-{version}.dist-info"
                wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
                wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
                wheel.writestr(f"{info}/RECORD", "")
            archive.write(path, f"wheels/{path.name}")
    return place / "stranger.zip"


def everybodys_python() -> str:
    """This Python's program, or the system's of the same version where other users can't come to this one's."""
    for name in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        real = Path(os.path.realpath(name))
        if real.is_file() and all(parent.stat().st_mode & 0o001 for parent in real.parents):
            return name
    pytest.skip("no Python that another user may run")


def command(place: Path, home: Path, path: list[str], *archives: Path, user: int = 0, **given) -> dict:
    """Arguments of a process that goes the way as a user of this number."""
    given |= {"archives": list(map(str, archives)), "portrait": str(place / "astronaut.png")}
    given |= {"picture": str(home / "f12.png")}
    (place / "empty").mkdir(exist_ok=True)
    variables = {"HOME": str(home), "NOWHERE": str(place / "empty"), "PATH": os.environ["PATH"]}
    variables |= {"BLENDER_USER_RESOURCES": str(home / "blender"), "OMP_NUM_THREADS": "1"}
    become = [shutil.which("setpriv"), f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    given["path"] = [*path, sysconfig.get_paths()["purelib"]]
    python = [everybodys_python(), "-s", str(SCRIPT), json.dumps(given)]
    return {"args": [*WITHOUT_NETWORK, *become, *python], "env": variables, "cwd": place}


def outcome(process: subprocess.Popen) -> dict:
    """What it printed at its end."""
    said, _ = process.communicate()
    done = [line for line in said.splitlines() if line.startswith("@done ")]
    assert done, said[-4000:]
    print(done[0])
    return json.loads(done[0].removeprefix("@done "))


def start(**arguments) -> subprocess.Popen:
    return subprocess.Popen(**arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def holds_a_head(picture: Path) -> bool:
    alpha = np.asarray(Image.open(picture).convert("RGBA"))[..., 3]
    return 0.08 < (alpha > 128).mean() < 0.95


@pytest.mark.parametrize("version", ["4.2", "4.5", "5.0"])
def test_three_clicks(version, place):
    home = place / "home"
    home.mkdir()
    done = outcome(start(**command(place, home, blender_path(version), Path(ZIP).absolute(), stranger(place))))
    assert done["blender"].startswith(version)
    assert len(done["heads"]) == 1
    assert holds_a_head(home / "f12.png")


def test_two_users_of_one_machine_with_an_extension_that_they_can_only_read(place):
    """At the same time; the extension is the administrator's."""
    homes = {user: place / f"home{user}" for user in (61001, 61002)}
    for user, home in homes.items():
        home.mkdir()
        outcome(start(**command(place, home, blender_path("5.0"), Path(ZIP).absolute(), stop_there=True)))
        for folder in [home, *home.rglob("*")]:
            if "turboportrait3d" not in folder.parts:
                os.chown(folder, user, user)
    running = {u: start(**command(place, home, blender_path("5.0"), user=u)) for u, home in homes.items()}
    for user, process in running.items():
        outcome(process)
        assert holds_a_head(homes[user] / "f12.png")
        (launcher,) = homes[user].rglob("turboportrait_backend.py")
        assert launcher.stat().st_uid == user
        assert launcher.parent.parent.stat().st_mode & 0o077 == 0, "others do not look in"
