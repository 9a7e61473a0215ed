"""The real backend with little heads for avatars, as a process; options as BackendProcess gives them.

With --block-rendering an avatar's rendering never ends, so that a test can end the process in the middle of it.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import typer

# Started as hosts start the backend: with no folder of a script or a user on its path.
sys.path.insert(0, str(Path(__file__).parent))

from little_head import LittleHead, little_catalog, make_little_head

from backend.commands.serve import run
from backend.pipeline import Pipeline


class _EndlessHead(LittleHead):
    def render(self, cameras, parameters):
        threading.Event().wait()


def _make_endless(data, model, progress, *, face=0):
    head = make_little_head(data, model, progress)
    head.__class__ = _EndlessHead
    return head


def main(
    address: str = "tcp://127.0.0.1:*",
    session: str = "",
    endpoint_file: Path | None = None,
    parent: int = 0,
    block_rendering: bool = False,
) -> None:
    catalog = little_catalog(maker=_make_endless if block_rendering else make_little_head)
    run(Pipeline(catalog, device="cpu"), address, None, endpoint_file, session, parent)


if __name__ == "__main__":
    typer.run(main)
