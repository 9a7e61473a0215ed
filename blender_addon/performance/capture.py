"""A camera's face as frames of a performance, from a process of the backend's Python. Needs no Blender.

The camera is opened by that process alone, on this machine, while it runs: the backend, which may be elsewhere, gets
no picture of it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from typing import IO, cast

from backend.client import TurboPortraitError
from backend.client.isolation import isolated
from backend.client.process import lower_priority, own_group
from backend.protocol import limits
from backend.protocol.errors import said_error
from backend.protocol.performance import Frame, Header, decode_frame, decode_header

MAX_WAITING = 20_000
"""Lines that are kept while nobody asks; then the oldest go."""
END_SECONDS = 5.0
"""A process that does not end by itself in this time is ended by force."""


class FaceCapture:
    """A running capture.

    Attributes:
        header: of the performance; None before the first face.
    """

    def __init__(self, command: Sequence[str], source: str, face: int = 0) -> None:
        """Start.

        Args:
            command: `turboportrait`, by its path.
            source: see `turboportrait capture`; empty for the first camera.
            face: of several faces the one counted from 1 at the left; 0 for the largest.

        Raises:
            TurboPortraitError: backend_not_started.
        """
        self.header: Header | None = None
        self._lines: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  It lives as long as the process.
        arguments = [*command, "capture", "--json", "--face", str(face), "--", source]
        try:
            self._process = subprocess.Popen(
                **isolated(arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._log,
                **own_group(low_priority=True),
            )
        except OSError as error:
            self._log.close()
            raise TurboPortraitError("backend_not_started", str(error)) from error
        # A camera gives pictures as fast as they are tracked: the backend, which shows them, must not starve.
        lower_priority(self._process.pid)
        self._said = cast(IO[bytes], self._process.stdout)
        self._thread = threading.Thread(target=self._read, name="capture", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Nothing more will come: a video that plays as a camera has an end."""
        return not self._thread.is_alive() and not self._lines

    def frames(self) -> list[Frame]:
        """What has come since the last call; does not wait.

        Raises:
            TurboPortraitError: what the process says; backend_not_started where it ended without a word.
        """
        found = []
        ended = not self._thread.is_alive()
        while self._lines:
            line = self._lines.popleft()
            try:
                if line.startswith(b'{"code"'):
                    raise said_error(json.loads(line))
                if self.header is None:
                    self.header = decode_header(line)
                else:
                    found.append(decode_frame(line, self.header))
            except (ValueError, RecursionError) as error:
                raise TurboPortraitError("bad_performance", str(error)[:300]) from error
        if ended and self.header is None:
            raise TurboPortraitError("backend_not_started", self._last_words())
        return found

    def close(self) -> None:
        """End it and free the camera; does not wait for that."""
        self._process.terminate()
        threading.Thread(target=self._end, name="capture's end", daemon=True).start()

    def _end(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._process.kill()
        self._process.wait()
        self._thread.join()
        self._said.close()
        self._log.close()

    def _read(self) -> None:
        for line in iter(lambda: self._said.readline(limits.MAX_PERFORMANCE_LINE), b""):
            self._lines.append(line)

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else ""
