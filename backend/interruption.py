"""An interrupted run saves before it stops."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Interruption:
    """While entered, Ctrl+C and SIGTERM are remembered and not obeyed; a second Ctrl+C is.

    Attributes:
        signal: the signal's number, or 0 for none.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        # Elsewhere than in the main thread signals are somebody else's.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _: object) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
