"""Processes that install something: their words go to a log file, and nothing here waits for them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence

from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import TurboPortraitError
from backend.client.isolation import isolated

from .backend_log import install_log_path
from .tasks import Task, TaskProgress

_NO_WINDOW = 0x08000000 if sys.platform == "win32" else 0


def clear_install_log() -> None:
    """Begin the log anew."""
    install_log_path().parent.mkdir(parents=True, exist_ok=True)
    install_log_path().write_bytes(b"")


def run_logged(
    command: Sequence[str],
    progress: Callable[[str], TaskProgress],
    failed: str = "Installing the backend failed: {reason}.",
) -> Task:
    """Run a process to its end.

    Args:
        progress: tells from what it has said how far it is.
        failed: the sentence for the user, with the `reason`, which is the last line that it said.

    Raises:
        TurboPortraitError: backend_not_started.
    """
    if not install_log_path().exists():
        clear_install_log()
    begin = install_log_path().stat().st_size
    with install_log_path().open("ab") as output:
        try:
            process = subprocess.Popen(
                **isolated(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                creationflags=_NO_WINDOW,
            )
        except OSError as error:
            raise TurboPortraitError(
                "backend_not_started",
                f"{error.filename or command[0]}: {error.strerror}",
                hint=rpt_("Give this user the right to run that file, or install Blender again."),
            ) from error
    try:
        while process.poll() is None:
            yield progress(_said(begin))
    finally:
        if process.poll() is None:
            process.terminate()
    if process.returncode:
        words = _said(begin).strip().splitlines()
        reason = words[-1][:500] if words else command[0]
        raise TurboPortraitError(
            "backend_not_started", sentence=rpt_(failed).format(reason=reason), hint=rpt_("Show log has all its words.")
        )


def _said(begin: int) -> str:
    """The log's last megabyte, or all since `begin` (bytes)."""
    with install_log_path().open("rb") as file:
        file.seek(max(begin, file.seek(0, 2) - (1 << 20)))
        return file.read(1 << 20).decode(errors="replace")
