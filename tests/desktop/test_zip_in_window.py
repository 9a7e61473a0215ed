"""The whole zip in Blender's own window without a network: `make try-zip`, as tests/blender/test_whole_zip.py."""

import json
import os
import shutil
import subprocess
import tempfile

import numpy as np
import pytest
from PIL import Image

ZIP = os.environ.get("TURBOPORTRAIT_DESKTOP_ZIP", "")
UNSHARE = shutil.which("unshare")
PATIENCE_SECONDS = 1200.0
SHARED = tempfile.gettempdir()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not ZIP, reason="TURBOPORTRAIT_DESKTOP_ZIP names no zip: make try-zip"),
    pytest.mark.skipif(not UNSHARE or os.geteuid() != 0, reason="network namespaces need root and unshare"),
]


def test_three_clicks_in_the_window(blender, scenarios, portrait, tmp_path):
    home = tmp_path / "Mein Büro 日本"
    (home / "empty").mkdir(parents=True)
    given = {"folder": str(tmp_path), "report": str(tmp_path / "report.json"), "state": str(home / "state")}
    given |= {"zip": shutil.copy(ZIP, tmp_path), "portrait": str(portrait), "empty": str(home / "empty")}
    given |= {"patience": PATIENCE_SECONDS}
    without_network = [UNSHARE, "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]
    window = ["--window-geometry", "0", "0", "1440", "900", "--python", str(scenarios / "three_clicks.py")]
    run = subprocess.run(
        [*without_network, *blender, "--factory-startup", *window, "--", json.dumps(given)],
        cwd=SHARED,
        capture_output=True,
        text=True,
        timeout=3600,
    )
    report = tmp_path / "report.json"
    assert report.exists(), run.stdout[-3000:] + run.stderr[-3000:]
    outcome = json.loads(report.read_text())
    assert "error" not in outcome, outcome["error"]
    print(outcome["result"])
    assert outcome["result"]["command"][1:3] == ["-I", "-S"]
    alpha = np.asarray(Image.open(tmp_path / "f12.png").convert("RGBA"))[..., 3]
    assert 0.08 < (alpha > 128).mean() < 0.95
