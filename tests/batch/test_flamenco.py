"""The Flamenco job type, run by node with what Flamenco gives a script, as its manual describes it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "flamenco_turboportrait.js"
NODE = shutil.which("node")
FLAMENCO = """
const made = [];
const author = {
  Task: (name, type) => ({ name, type, commands: [], after: [],
    addCommand(c) { this.commands.push(c); }, addDependency(t) { this.after.push(t.name); } }),
  Command: (name, parameters) => ({ name, parameters }),
};
const frameChunker = (frames, size) => { const [a, b] = frames.split("-").map(Number), chunks = [];
  for (let at = a; at <= b; at += size) chunks.push(`${at}-${Math.min(at + size - 1, b)}`); return chunks; };
"""


def compiled(**settings):
    if NODE is None:
        pytest.skip("node is not installed")
    job = {"settings": settings, "addTask": None}
    call = f"const job = {json.dumps(job)}; job.addTask = (t) => made.push(t); compileJob(job);"
    code = f"{FLAMENCO}\n{SCRIPT.read_text()}\n{call}\nconsole.log(JSON.stringify({{ made, JOB_TYPE }}));"
    run = subprocess.run([NODE, "--input-type=commonjs", "-e", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


SETTINGS = {
    "frames": "1-50",
    "chunk_size": 20,
    "output_folder": "/render/shot/",
    "file_name": "shot",
    "backend_python": '/opt/a "b"/python',
    "movie": True,
    "blendfile": "/jobs/shot.blend",
    "fps": 24.0,
}


def test_frames_become_tasks_and_a_movie_after_them():
    tasks = compiled(**SETTINGS)["made"]
    assert [(task["name"], task["type"]) for task in tasks] == [
        ("render-1-20", "blender"),
        ("render-21-40", "blender"),
        ("render-41-50", "blender"),
        ("movie", "ffmpeg"),
    ]
    (command,) = tasks[0]["commands"]
    assert command["name"] == "blender-render"
    arguments = command["parameters"]["args"]
    assert arguments[arguments.index("--engine") + 1] == "TURBOPORTRAIT3D"
    assert arguments[arguments.index("--render-frame") + 1] == "1..20"
    assert arguments[arguments.index("--render-output") + 1] == "/render/shot/shot.######"
    # What the worker's Blender is told is Python that says it as the job did.
    told = {}
    exec(arguments[arguments.index("--python-expr") + 1].replace("os.environ", "told"), {"told": told})
    assert told == {"TURBOPORTRAIT_PYTHON": '/opt/a "b"/python'}
    assert tasks[-1]["after"] == ["render-1-20", "render-21-40", "render-41-50"]
    assert tasks[-1]["commands"][0]["parameters"]["fps"] == 24.0


def test_the_movie_can_be_left_out_and_every_setting_is_used():
    made = compiled(**SETTINGS | {"movie": False, "backend_python": ""})
    assert [task["type"] for task in made["made"]] == ["blender"] * 3
    assert {setting["key"] for setting in made["JOB_TYPE"]["settings"]} == set(SETTINGS)
