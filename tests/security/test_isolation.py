"""A stranger's folder: whatever lies in it, no process of ours runs it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.batch.evaluate import evaluate
from backend.client import BackendProcess, TurboPortraitError
from backend.client.isolation import find_program, isolated, python_module

ROOT = Path(__file__).parents[2]
MODULES = ("backend", "blender_addon", "flame", "json", "multiprocessing", "numpy", "runpy", "site", "sitecustomize")
"""What any of our processes imports early."""


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """A file that modules of a stranger's folder make; the folder is the current one, and on PYTHONPATH."""
    folder, ran = tmp_path / "stranger", tmp_path / "ran"
    for name in MODULES:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"open({str(ran)!r}, 'a').write(__file__)\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("TURBOPORTRAIT_STATE", str(tmp_path / "state"))
    return ran


def test_such_a_folder_would_be_run(ran):
    subprocess.run([sys.executable, "-m", "backend.commands"], capture_output=True)
    assert ran.exists()


def test_a_module_of_ours_runs_apart_from_it(ran):
    shown = "import backend, json, sys; print(backend.__file__, json.__file__, sys.path)"
    start = isolated([*python_module("timeit")[:-2], "-c", shown])
    run = subprocess.run(**start, capture_output=True, text=True, check=True)
    assert str(ROOT / "backend") in run.stdout
    assert "stranger" not in run.stdout
    assert not ran.exists()


@pytest.mark.slow
def test_the_backend_starts_apart_from_it(ran, tmp_path):
    process = BackendProcess.start(log=tmp_path / "log", endpoint_path=tmp_path / "endpoint.json")
    process.wait_ready()
    process.stop()
    assert not ran.exists()


@pytest.mark.slow
def test_blender_evaluates_apart_from_it(ran, tmp_path):
    pytest.importorskip("bpy")
    (tmp_path / "no.blend").write_text("hello")
    with pytest.raises(TurboPortraitError, match="no_blender"):
        evaluate(tmp_path / "no.blend", None, None)
    assert not ran.exists()


@pytest.mark.slow
def test_the_corpus_is_rendered_apart_from_it(ran):
    pytest.importorskip("bpy")
    from backend.people.synthesis.renderer import Studio

    Studio(threads=1).close()
    assert not ran.exists()


COMMAND = """
import multiprocessing, sys
from backend.commands.app import main

if __name__ == "__main__":
    try:
        main()
    except SystemExit:
        pass
    child = multiprocessing.get_context("spawn").Process(target=print, args=("worked",))
    child.start()
    child.join()
"""


@pytest.mark.slow
def test_processes_of_the_command_line_work_apart_from_it(ran, tmp_path):
    """As an installed script, which has its own folder on the path in place of the current one."""
    (tmp_path / "turboportrait").write_text(COMMAND)
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, tmp_path / "turboportrait", "shots", "--help"]
    run = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert "worked" in run.stdout, run.stderr
    assert not ran.exists()


def test_a_program_is_never_one_of_the_current_folder(tmp_path, monkeypatch):
    for folder in (tmp_path / "here", tmp_path / "there"):
        folder.mkdir()
        (folder / "blender").write_text("#!/bin/sh\n")
        (folder / "blender").chmod(0o755)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", str(tmp_path / "there")]))
    assert find_program("blender") == str(tmp_path / "there" / "blender")
    monkeypatch.setenv("PATH", ".")
    assert find_program("blender") is None
    with pytest.raises(FileNotFoundError):
        isolated(["blender"])


STARTS = {"Popen", "run", "call", "check_call", "check_output", "system", "popen", "posix_spawn"}
EXECUTES = {"execl", "execle", "execlp", "execv", "execve", "execvp", "execvpe", "spawnv", "spawnve"}


@pytest.mark.parametrize("room", ["backend", "blender_addon"])
def test_every_process_is_started_in_this_way(room):
    wrong = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in (ROOT / room).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and _starts_a_process(call) and not _is_isolated(call)
    ]
    assert not wrong


def _starts_a_process(call: ast.Call) -> bool:
    where = call.func.value if isinstance(call.func, ast.Attribute) else None
    names = {"subprocess": STARTS, "os": STARTS | EXECUTES}.get(where.id if isinstance(where, ast.Name) else "", set())
    return bool(names) and call.func.attr in names


def _is_isolated(call: ast.Call) -> bool:
    """With `**isolated(...)`, or with what a variable `start` holds of it."""
    return "isolated(" in ast.unparse(call) or "start" in {n.id for n in ast.walk(call) if isinstance(n, ast.Name)}
