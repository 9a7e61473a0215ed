"""Fetching large files: resumed after a cut, bounded in size, checked before they take their place."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import requests

from backend.models.record import sha256
from backend.models.sources import RemoteFile, Source
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import commit, storage_error

Report = Callable[[str, int, int | None], None]
"""Called with a file's path, the bytes that are there, and how many it will be (None: the server does not say)."""

ATTEMPTS = 4
"""How often in a row a connection may be lost without a byte being gained."""
PAUSE_SECONDS = 1.0
_TIMEOUTS = (15.0, 60.0)
_BLOCK = 1 << 17
"""At most this much is lost with a connection."""
_LATER = (408, 429, 500, 502, 503, 504)


def fetch(source: Source, folder: Path, report: Report) -> dict[str, str]:
    """All files of a source into a folder; those that are there already and right are kept.

    Returns:
        sha256 by path.

    Raises:
        TurboPortraitError: as `fetch_file`.
    """
    with requests.Session() as session:
        # Compression by the server would make lengths and offsets meaningless.
        session.headers["Accept-Encoding"] = "identity"
        return {
            file.path: fetch_file(session, source.address(file), folder / file.path, file, report)
            for file in source.files
        }


def fetch_file(session: requests.Session, address: str, target: Path, file: RemoteFile, report: Report) -> str:
    """One file, by way of `target` + ".part", which a later call goes on with.

    Returns:
        Its sha256, hex.

    Raises:
        TurboPortraitError: download_failed (no connection, or lost too often: the part is kept), download_refused (the
            server has no such file, or sends a web page or more than announced), download_damaged (another checksum:
            the part is thrown away), disk_full, read_only, cannot_write.
    """
    if target.is_file():
        if not _fault(target, file):
            return sha256(target)
        target.unlink()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, target.parent) from error
    part = target.with_name(target.name + ".part")
    failures = 0
    while True:
        before = _size(part)
        try:
            _receive(session, address, part, file, report)
            break
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, _Later) as error:
            failures = 1 if _size(part) > before else failures + 1
            if failures >= ATTEMPTS:
                raise TurboPortraitError("download_failed", f"{file.path}: {_reason(error)}") from error
            time.sleep(PAUSE_SECONDS * failures)
        except requests.RequestException as error:
            raise TurboPortraitError("download_refused", f"{address}: {_reason(error)}") from error
        except OSError as error:
            raise storage_error(error, part) from error
    if fault := _fault(part, file):
        _discard(part)
        raise TurboPortraitError("download_damaged", f"{file.path}: {fault}")
    try:
        commit(part, target)
    except OSError as error:
        raise storage_error(error, target) from error
    _tag(part).unlink(missing_ok=True)
    return sha256(target)


class _Later(Exception):
    """The server asks to come back later."""


def _receive(session: requests.Session, address: str, part: Path, file: RemoteFile, report: Report) -> None:
    """Ask for what is missing, and append it to the part; an early end of the stream raises."""
    have, tag = _size(part), _tag(part).read_text() if _tag(part).is_file() else ""
    # Without the server's own tag only the checksum can tell whether both ends are of the same file.
    if have and not (tag or file.sha256 or file.md5):
        _discard(part)
        have = 0
    headers = {"Range": f"bytes={have}-"} | ({"If-Range": tag} if tag else {}) if have else {}
    with session.get(address, headers=headers, stream=True, timeout=_TIMEOUTS) as reply:
        if reply.status_code == 416:
            # The part is whole already, or longer than the file is by now.
            if reply.headers.get("Content-Range") == f"bytes */{have}":
                return
            _discard(part)
            raise _Later("the file at the source has changed")
        _check_reply(reply, address)
        if reply.status_code == 206:
            if not re.match(rf"bytes {have}-\d+/", reply.headers.get("Content-Range", "")):
                _discard(part)
                raise _Later("the server sent another part than the one that was asked for")
        else:
            have = 0
        total = _announced(reply, have)
        limit = file.size or file.max_bytes
        if total is not None and (total > limit or (file.size and total != file.size)):
            _discard(part)
            raise TurboPortraitError("download_refused", f"{file.path} would have {total} bytes, expected {limit}")
        if shutil.disk_usage(part.parent).free < (total or limit) - have:
            raise TurboPortraitError("disk_full", f"{file.path} needs {(total or limit) - have} bytes")
        _tag(part).write_text(_validator(reply))
        with open(part, "ab" if have else "wb") as output:
            for block in reply.iter_content(_BLOCK):
                have += len(block)
                if have > limit:
                    output.close()
                    _discard(part)
                    raise TurboPortraitError("download_refused", f"{file.path} is longer than {limit} bytes")
                output.write(block)
                report(file.path, have, total)
        if total is not None and have < total:
            raise requests.ConnectionError(f"the connection ended after {have} of {total} bytes")


def _check_reply(reply: requests.Response, address: str) -> None:
    if reply.status_code in _LATER:
        raise _Later(f"the server answers {reply.status_code}")
    if reply.status_code not in (200, 206):
        raise TurboPortraitError("download_refused", f"{address}: the server answers {reply.status_code}")
    steps = [*reply.history, reply]
    if address.startswith("https:") and not all(step.url.startswith("https:") for step in steps):
        raise TurboPortraitError("download_refused", f"{address} leads to an address without encryption: {reply.url}")
    if reply.headers.get("Content-Type", "").startswith("text/html"):
        raise TurboPortraitError("download_refused", f"{address}: the server sends a web page instead of the file")


def _announced(reply: requests.Response, have: int) -> int | None:
    """The whole file's length."""
    length = reply.headers.get("Content-Length", "")
    return have + int(length) if length.isdigit() else None


def _validator(reply: requests.Response) -> str:
    """What tells one state of the file from another; weak tags may not be used for ranges (RFC 9110, 13.1.5)."""
    tag = reply.headers.get("ETag", "")
    return tag if tag.startswith('"') else ""


def _fault(path: Path, file: RemoteFile) -> str:
    """What is wrong with a whole file; empty if nothing is."""
    if file.size is not None and path.stat().st_size != file.size:
        return f"{path.stat().st_size} bytes instead of {file.size}"
    for name, expected in (("sha256", file.sha256), ("md5", file.md5)):
        if expected:
            with open(path, "rb") as content:
                found = hashlib.file_digest(content, name).hexdigest()
            if found != expected:
                return f"its {name} is {found}, not {expected}"
    return ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _tag(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag(part).unlink(missing_ok=True)


def _reason(error: BaseException) -> str:
    """In a few words: urllib3 tells the whole chain of its objects."""
    request = getattr(error, "request", None)
    if isinstance(error, requests.ConnectionError) and request is not None and request.url:
        return f"no connection to {urlsplit(request.url).netloc}"
    return str(error)[:200] or type(error).__name__
