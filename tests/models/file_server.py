"""A web server of a test's own that can misbehave in the ways that servers and networks do."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading


class FileServer:
    """Serves bytes by path on a free port of this machine.

    Attributes:
        files: content by path, without the leading slash.
        ranges: whether parts can be asked for.
        tags: whether it tells an ETag.
        cut_after: bytes of each coming reply after which the connection is cut; emptied from the front.
        status: a status to answer with instead, by path.
        redirect: where to send the caller, by path.
        lengths: whether it announces lengths (otherwise the reply ends with the connection).
        requests: the paths and ranges that were asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges = self.tags = self.lengths = True
        self.content_type = "application/octet-stream"
        self.cut_after: list[int] = []
        self.status: dict[str, list[int]] = {}
        self.redirect: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        # A caller that hangs up is part of the tests, not worth a traceback.
        self._server.handle_error = lambda *_: None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type:
        here = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments) -> None:
                pass

            def do_GET(self) -> None:
                here._reply(self, self.path.lstrip("/"))

        return Handler

    def _reply(self, handler: http.server.BaseHTTPRequestHandler, path: str) -> None:
        asked = handler.headers.get("Range", "")
        self.requests.append((path, asked))
        if path in self.redirect:
            return self._head(handler, 302, {"Location": self.redirect[path], "Content-Length": "0"})
        if self.status.get(path):
            return self._head(handler, self.status[path].pop(0), {"Content-Length": "0"})
        if path not in self.files:
            return self._head(handler, 404, {"Content-Length": "0"})
        content, start, headers = self.files[path], 0, {"Content-Type": self.content_type}
        tag = f'"{hashlib.sha1(content).hexdigest()}"'
        if self.tags:
            headers["ETag"] = tag
        wanted = re.fullmatch(r"bytes=(\d+)-", asked) if self.ranges else None
        if wanted and handler.headers.get("If-Range", tag) == tag:
            start = int(wanted[1])
            if start >= len(content):
                return self._head(handler, 416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if self.lengths:
            headers["Content-Length"] = str(len(content) - start)
        self._head(handler, 206 if start else 200, headers)
        body = content[start:]
        if self.cut_after:
            body = body[: self.cut_after.pop(0)]
        handler.wfile.write(body)
        handler.close_connection = True

    @staticmethod
    def _head(handler: http.server.BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
