"""An exported head in another program: three.js in a real browser shows it as the backend does."""

import dataclasses
import functools
import http.server
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from backend.avatars.bust import register_bust
from backend.evaluation.metrics import psnr
from backend.protocol.head_parameters import HeadParameters
from flame import load_head_model

ROOT = Path(__file__).parents[2]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
THREE = "three@0.187.0"
SIZE, GREY = 256, 150


@pytest.fixture
def page(tmp_path):
    """A folder with three.js, served to this machine alone; and its address."""
    if not (BROWSER and shutil.which("npm") and importlib.util.find_spec("bpy")):
        pytest.skip("it takes chromium, npm and bpy")
    packed = subprocess.run(["npm", "pack", THREE], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    if packed.returncode:
        pytest.skip(f"npm gives no {THREE}: {packed.stderr[-300:]}")
    shutil.unpack_archive(next(tmp_path.glob("three-*.tgz")), tmp_path)
    (tmp_path / "package").rename(tmp_path / "three")
    shutil.copy(Path(__file__).parent / "three" / "view.html", tmp_path)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}/view.html"
        server.shutdown()


@pytest.mark.slow
def test_three_js_shows_the_backends_raw_view(page):
    folder, address = page
    photo = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(photo, "PNG")
    avatar = register_bust(photo.getvalue(), load_head_model())
    mesh = avatar.mesh()
    np.savez(folder / "mesh.npz", **{f.name: getattr(mesh, f.name) for f in dataclasses.fields(mesh)})
    subprocess.run(
        [sys.executable, str(Path(__file__).parent / "three" / "export.py"), "mesh.npz", str(folder / "head.glb")],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "BLENDER_USER_RESOURCES": str(folder / "blender")},
        check=True,
        capture_output=True,
        timeout=200,
    )
    camera = avatar.tracked.camera.crop(0, 0, avatar.tracked.camera.width, SIZE)
    view = {"K": camera.K, "world_to_camera": camera.world_to_camera, "size": SIZE, "near": 0.05, "far": 50}
    (folder / "camera.json").write_text(json.dumps(view))
    shot = folder / "shot.png"
    flags = [
        "--headless",
        "--no-sandbox",
        "--hide-scrollbars",
        "--enable-unsafe-swiftshader",
        "--use-angle=swiftshader",
    ]
    flags += [f"--window-size={SIZE},{SIZE}", f"--screenshot={shot}", "--virtual-time-budget=20000"]
    subprocess.run(
        [BROWSER, *flags, f"--user-data-dir={folder / 'browser'}", address],
        check=True,
        capture_output=True,
        timeout=120,
    )
    shown = np.asarray(Image.open(shot).convert("RGB"))[:SIZE, :SIZE]
    rgba = avatar.render([camera], HeadParameters())[0].rgba
    alpha = rgba[..., 3:] / 255
    wanted = np.rint(rgba[..., :3] * alpha + GREY * (1 - alpha)).astype(np.uint8)
    assert psnr(shown, wanted, rgba[..., 3] > 0) > 27
    assert psnr(shown, wanted, rgba[..., 3] == 0) > 35
