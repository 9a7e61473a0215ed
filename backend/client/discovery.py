"""Where a running backend is: a small file in the user's state folder, so that all hosts share one backend."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import msgspec

from backend.client.keys import Keys
from backend.protocol.codec import VERSION
from backend.protocol.files import write_file


class Endpoint(msgspec.Struct, frozen=True):
    """Where a backend listens, and the keys without which it answers nothing.

    `session` differs for every start; `version` is the protocol's.
    """

    address: str
    pid: int
    session: str
    version: int = VERSION
    keys: Keys | None = None

    @classmethod
    def at(cls, address: str, keys_folder: Path | str | None = None) -> Endpoint:
        """A backend whose address is known, with the keys of a folder, or this user's own where it is theirs.

        Raises:
            TurboPortraitError: insecure_address, where the folder has no keys.
        """
        if keys_folder:
            return cls(address, 0, "", keys=Keys.for_client(keys_folder))
        found = read()
        if found and found.address == address.replace("//localhost:", "//127.0.0.1:"):
            return found
        return cls(address, 0, "")


def state_folder() -> Path:
    """The user's own folder for this program's state; TURBOPORTRAIT_STATE overrides it."""
    if override := os.environ.get("TURBOPORTRAIT_STATE"):
        return Path(override)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "turboportrait3d"


def endpoint_file() -> Path:
    """The file that a running backend writes."""
    return state_folder() / "backend.json"


def publish(endpoint: Endpoint, path: Path | None = None) -> Path:
    """Write the file in one step, readable by its owner only."""
    path = path or endpoint_file()
    with contextlib.suppress(OSError):  # write_file tells better why
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(path, msgspec.json.encode(endpoint), mode=0o600)
    return path


def withdraw(session: str, path: Path | None = None) -> None:
    """Remove the file if it is still this session's."""
    path = path or endpoint_file()
    found = read(path)
    if found and found.session == session:
        with contextlib.suppress(OSError):
            path.unlink()


def read(path: Path | None = None) -> Endpoint | None:
    """What the file says; None if there is none, it is damaged, or others can write or read it."""
    path = path or endpoint_file()
    try:
        with open(path, "rb") as file:
            owner = os.fstat(file.fileno())
            if os.name == "posix" and (owner.st_uid != os.getuid() or owner.st_mode & 0o066):
                return None
            return msgspec.json.decode(file.read(65536), type=Endpoint)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def find_backend(path: Path | None = None) -> Endpoint | None:
    """The running backend of this user, if there is one. It may still have hung: its hello tells."""
    found = read(path)
    return found if found and _runs(found.pid) else None


def _runs(pid: int) -> bool:
    if os.name != "posix":
        return True  # os.kill would end the process there; its hello tells.
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return pid > 0
