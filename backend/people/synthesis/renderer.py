"""The studio's process, and what it rendered: scene in, pictures with depth and labels out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from backend.client.isolation import blender_without_window, isolated
from backend.people.synthesis.labels import decode_cryptomatte
from backend.people.synthesis.scene import Scene
from backend.protocol.errors import TurboPortraitError

STUDIO = Path(__file__).parent / "studio" / "__main__.py"
LAST_LINES = 12


class Studio:
    """A Blender process that renders one scene after another.

    Args:
        blender: a Blender to run; by default this Python, with the package bpy.
        threads: of Cycles.
    """

    def __init__(self, blender: str | None = None, threads: int = 2) -> None:
        self.threads = threads
        command = [*blender_without_window(blender), "--python"] if blender else [sys.executable, "-P"]
        try:
            self._process = subprocess.Popen(
                **isolated([*command, str(STUDIO)]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        except OSError as error:
            raise TurboPortraitError("no_blender", str(error), sentence="Blender could not be started.") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._tasks, self._said = self._process.stdin, self._process.stdout
        self._answer()

    def render(self, scene: Scene, samples: int) -> tuple[list[dict[str, np.ndarray]], list[float]]:
        """Each view's `color` (S, S, 4), linear and premultiplied, `depth` and `labels` (S, S); and its seconds.

        Raises:
            RuntimeError: the scene could not be rendered.
            TurboPortraitError: `no_blender`: the process is gone.
        """
        folder = Path(tempfile.mkdtemp(prefix="turboportrait-"))
        try:
            scene.write(folder / "scene.npz")
            task = {
                "scene": str(folder / "scene.npz"),
                "output": str(folder),
                "samples": samples,
                "threads": self.threads,
            }
            try:
                self._tasks.write(json.dumps(task) + "\n")
                self._tasks.flush()
            except OSError as error:
                raise TurboPortraitError("no_blender", str(error), sentence="Blender has ended.") from error
            answer = self._answer()
            if "error" in answer:
                raise RuntimeError(answer["error"])
            return [_read(folder / f"view_{k:02d}.exr") for k in range(len(answer["views"]))], answer["views"]
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._tasks.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _answer(self) -> dict:
        said: list[str] = []
        for line in self._said:
            if line.startswith("studio "):
                return json.loads(line.removeprefix("studio "))
            said = [*said, line.rstrip()][-LAST_LINES:]
        self._process.wait()
        raise TurboPortraitError(
            "no_blender",
            f"exit code {self._process.returncode}: {' / '.join(said)}",
            sentence="Blender ended before it had rendered.",
        )


def _read(path: Path) -> dict[str, np.ndarray]:
    import OpenEXR

    file = OpenEXR.File(str(path))
    passes = {}
    for part in file.parts:
        for name, channel in part.channels.items():
            passes[name.split(".", 1)[1]] = channel.pixels
    alpha = passes["Combined"][..., 3]
    depth = np.where((alpha > 0) & (passes["Depth.Z"] < 100), passes["Depth.Z"], 0).astype(np.float32)
    matte = sorted(name[:-1] for name in passes if name.startswith("CryptoMaterial") and name.endswith("r"))
    ranks = np.stack([passes[level + channel] for level in matte for channel in "rgba"], 2)
    header = {key: value for part in file.parts for key, value in part.header.items()}
    return {
        "color": passes["Combined"].astype(np.float32),
        "depth": depth,
        "labels": decode_cryptomatte(header, ranks.reshape(*alpha.shape, -1, 2)),
    }
