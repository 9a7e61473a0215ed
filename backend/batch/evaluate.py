"""Has headless Blender evaluate a .blend: the one step of a batch that needs Blender, in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from backend.client.isolation import blender_without_window, isolated, python_module
from backend.protocol.errors import TurboPortraitError
from backend.protocol.shots import EvaluationRequest, Shot, encode

PROGRESS = "@poses "
VARIABLE = "TURBOPORTRAIT_BLENDER"
_ROOT = Path(__file__).resolve().parents[2]
_IN_BLENDER = """
import importlib, sys
import addon_utils
names = [m.__name__ for m in addon_utils.modules() if m.__name__.endswith("turboportrait3d")]
if not names:
    sys.path.append({root!r})
importlib.import_module((names or ["blender_addon"])[0] + ".shots.pose_export").main({request!r})
"""
"""The installed extension, else this checkout's add-on."""


def evaluate(
    blend: Path,
    shots: Sequence[Shot] | None,
    output: Path | None,
    blender: str = "",
    scene: str = "",
    progress: Callable[[int, int], None] = lambda frame, frames: None,
) -> dict[str, Any]:
    """Evaluate shots of a .blend into a pose file, or only look at the .blend.

    Args:
        shots: None for the scene's markers.
        output: the pose file; None to only look.
        blender: command of a Blender; by default TURBOPORTRAIT_BLENDER, else bpy in a process of this Python.
        scene: of the .blend; empty for the one that it was saved in.
        progress: called with frames done and frames in all.

    Returns:
        What the scene has: fps, cameras, heads, shots, blend_sha256.

    Raises:
        TurboPortraitError: no_blender, with Blender's last words; disk_full and the like, where the pose file has no
            room.
    """
    with tempfile.TemporaryDirectory(prefix="turboportrait-") as folder:
        request = Path(folder) / "request.json"
        asked = EvaluationRequest(
            str(blend.resolve()),
            str(output.resolve()) if output else "",
            None if shots is None else tuple(shots),
            scene,
        )
        request.write_bytes(encode(asked))
        command = _command(request, blender or os.environ.get(VARIABLE, ""))
        last_words: deque[str] = deque(maxlen=5)
        try:
            with subprocess.Popen(
                **isolated(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
            ) as process:
                for line in process.stdout or ():
                    if not line.startswith(PROGRESS):
                        last_words.append(line.strip())
                        continue
                    said = json.loads(line.removeprefix(PROGRESS))
                    if said.get("done"):
                        return said
                    if "code" in said:
                        raise TurboPortraitError(said["code"], sentence=said["sentence"])
                    progress(said["frame"], said["frames"])
        except OSError as error:
            raise TurboPortraitError("no_blender", str(error)) from error
    raise TurboPortraitError("no_blender", " / ".join(filter(None, last_words))[-600:])


def _command(request: Path, blender: str) -> list[str]:
    if blender:
        code = _IN_BLENDER.format(root=str(_ROOT), request=str(request))
        return [*blender_without_window(*shlex.split(blender)), "--python-exit-code", "1", "--python-expr", code]
    if importlib.util.find_spec("bpy") is None:
        raise TurboPortraitError("no_blender", "this Python has no bpy")
    return [*python_module("blender_addon.shots.pose_export"), str(request)]
