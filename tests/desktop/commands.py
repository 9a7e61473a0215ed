"""Runs `turboportrait` for a Blender that may not see this machine's Python: see `inside/backend_python.py`."""

from __future__ import annotations

import json
import socketserver
import subprocess
import threading

from backend.client.isolation import isolated, python_module


class Commands(socketserver.ThreadingTCPServer):
    """One command per connection, to which its lines are passed on; it ends where the connection does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Command)
        self.ended: list[tuple[list[str], int]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Of this machine's loopback."""
        return self.server_address[1]


class _Command(socketserver.StreamRequestHandler):
    server: Commands

    def handle(self) -> None:
        words = json.loads(self.rfile.readline())
        command = [*python_module("backend.commands"), *words]
        process = subprocess.Popen(**isolated(command), stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._end_with_the_connection, args=[process], daemon=True).start()
        try:
            for line in process.stdout:
                self._say(line=line)
            self._say(status=process.wait())
        except OSError:
            process.terminate()
        self.server.ended.append((words, process.wait()))

    def _end_with_the_connection(self, process: subprocess.Popen) -> None:
        self.rfile.read(1)
        process.terminate()

    def _say(self, **said: object) -> None:
        self.wfile.write(json.dumps(said).encode() + b"\n")
