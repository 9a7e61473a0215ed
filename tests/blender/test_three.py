"""An exported head in another program: three.js in a real browser shows it as the backend does."""

import base64
import dataclasses
import functools
import http.server
import importlib.util
import io
import json
import os
import queue
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
from backend.metrics.psnr_ssim import psnr
from backend.protocol.head_parameters import HeadParameters
from flame import load_head_model

ROOT = Path(__file__).parents[2]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
THREE = "three@0.187.0"
SIZE = 256


class _Folder(http.server.SimpleHTTPRequestHandler):
    """Gives the folder's files, and takes what the page tells."""

    def do_POST(self):
        self.server.told.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def folder(tmp_path):
    """A folder with three.js and the page."""
    if not (BROWSER and shutil.which("npm") and importlib.util.find_spec("bpy")):
        pytest.skip("it takes chromium, npm and bpy")
    packed = subprocess.run(["npm", "pack", THREE], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    if packed.returncode:
        pytest.skip(f"npm gives no {THREE}: {packed.stderr[-300:]}")
    shutil.unpack_archive(next(tmp_path.glob("three-*.tgz")), tmp_path)
    (tmp_path / "package").rename(tmp_path / "three")
    shutil.copy(Path(__file__).parent / "three" / "view.html", tmp_path)
    return tmp_path


def shown_by_a_browser(folder: Path) -> np.ndarray:
    """(H, W, 4) uint8, what the folder's page draws."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Folder, directory=folder)) as server:
        server.told = queue.Queue()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        flags = ["--headless", "--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader"]
        flags += ["--remote-debugging-port=0", f"--user-data-dir={folder / 'browser'}"]
        browser = subprocess.Popen(
            [BROWSER, *flags, f"http://127.0.0.1:{server.server_port}/view.html"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            told = server.told.get(timeout=120)
        finally:
            browser.terminate()
            browser.wait(30)
            server.shutdown()
    kind, _, data = told.partition(",")
    assert kind == "data:image/png;base64", told
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))


@pytest.mark.slow
def test_three_js_shows_the_backends_raw_view(folder):
    photo = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(photo, "PNG")
    avatar = register_bust(photo.getvalue(), load_head_model())
    mesh = avatar.mesh()
    arrays = {f.name: getattr(mesh, f.name) for f in dataclasses.fields(mesh)}
    np.savez(folder / "mesh.npz", **{name: array for name, array in arrays.items() if array is not None})
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
    shown, wanted = shown_by_a_browser(folder), avatar.render([camera], HeadParameters())[0].rgba
    solid = (shown[..., 3] == 255) & (wanted[..., 3] == 255)
    assert psnr(shown[..., :3], wanted[..., :3], solid) > 23
    assert np.abs(shown[..., 3].astype(int) - wanted[..., 3]).mean() < 3
