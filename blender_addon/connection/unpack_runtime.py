"""Unpacks the backend that came in the extension's zip: `python -I -S unpack_runtime.py PACKED TARGET`.

It is run by the Python that the backend shall run with, needs nothing but the standard library, and leaves either the
whole folder or none. The last line that it prints tells the user what went wrong.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import signal
import sys
import time
import zipfile
from pathlib import Path, PurePosixPath

LIST = "runtime.json"
"""In the packed folder: what the wheels are for, their sizes unpacked, and their checksums."""
LAUNCHER = "turboportrait_backend.py"
_LAUNCHER_SOURCE, _FILES = Path(__file__).with_name("launcher.py"), "files.json"
_KEPT_DATA = ("purelib", "platlib")
_UNUSED = {("onnxruntime", name) for name in ("quantization", "tools", "transformers")}
"""Besides tests; together a third of all files."""
_SPARE = 64 << 20
"""Bytes that are to be free besides what is unpacked: for what numba compiles."""
STALE_SECONDS = 3600


class NotUnpackedError(Exception):
    """A sentence that says why, and what to do."""


def unpack(packed: Path, target: Path) -> None:
    """Unpack all wheels of `packed` into the folder `target`, which does not exist before.

    Raises:
        NotUnpackedError.
    """
    manifest = json.loads((packed / LIST).read_text())
    _require_fit(manifest)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for rest in target.parent.glob("*.part"):
        # Of an unpacking that was ended by force; a younger one may be at work.
        if time.time() - rest.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(rest, ignore_errors=True)
    free = shutil.disk_usage(target.parent).free
    needed = manifest["bytes"] + _SPARE
    if free < needed:
        raise NotUnpackedError(
            f"The disk of {target.parent} has {free >> 20} MB free and {needed >> 20} MB are needed: "
            "make room and try again"
        )
    staging = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        for number, (name, checksum) in enumerate(manifest["wheels"].items()):
            print(f"unpacking {number + 1} of {len(manifest['wheels'])}: {name}", flush=True)
            unpack_wheel(packed / name, checksum, staging)
        files = [path for path in staging.rglob("*") if path.is_file()]
        sizes = {path.relative_to(staging).as_posix(): path.stat().st_size for path in files}
        (staging / _FILES).write_text(json.dumps(sizes))
        shutil.copyfile(_LAUNCHER_SOURCE, staging / LAUNCHER)
        put_in_place(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    forget_others(target)


def put_in_place(staging: Path, target: Path) -> None:
    """Make `target` what was unpacked, in place of one that has lost its launcher; another Blender may be faster."""
    if target.exists() and not (target / LAUNCHER).is_file():
        harmed = target.with_name(f"{staging.name}.harmed.part")
        target.rename(harmed)
        shutil.rmtree(harmed, ignore_errors=True)
    try:
        staging.rename(target)
    except OSError:
        if not (target / LAUNCHER).is_file():
            raise


def _require_fit(manifest: dict) -> None:
    """Raises NotUnpackedError where the wheels are for another system or Python."""
    here = this_platform()
    if manifest["platform"] != here:
        raise NotUnpackedError(
            f"This zip is for {manifest['platform']}, this computer is {here}: install the zip that is for it"
        )
    if list(sys.version_info[:2]) != manifest["python"]:
        wanted, found = (".".join(map(str, v)) for v in (manifest["python"], sys.version_info[:2]))
        raise NotUnpackedError(
            f"This zip is for Blenders with Python {wanted}, this one has {found}: install the zip that is for it"
        )


def this_platform(system: str = sys.platform, machine: str = "") -> str:
    """This computer as Blender's manifests call it, such as windows-x64."""
    name = {"win32": "windows", "darwin": "macos"}.get(system, system)
    processor = (machine or platform.machine()).lower()
    return f"{name}-{({'amd64': 'x64', 'x86_64': 'x64', 'aarch64': 'arm64'}).get(processor, processor)}"


def unpack_wheel(path: Path, checksum: str, folder: Path) -> None:
    """Unpack one wheel as pip would, without its scripts.

    Raises:
        NotUnpackedError: it is missing or not what was packed.
    """
    if not path.is_file() or _sha256(path) != checksum:
        raise NotUnpackedError(
            f"{path.name} is missing or changed (some virus scanners take such files away): install the extension again"
        )
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            place = installed_place(member.filename)
            if place is None or member.is_dir():
                continue
            file = folder / place
            file.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, file.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


def installed_place(name: str) -> PurePosixPath | None:
    """Where a wheel's member is installed below site-packages; None for what we do not need.

    Raises:
        NotUnpackedError: it would lie elsewhere.
    """
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in name or ":" in name:
        raise NotUnpackedError(f"A packed file has a name that is none ({name[:80]!r}): install the extension again")
    if parts and parts[0].endswith(".data"):
        return PurePosixPath(*parts[2:]) if len(parts) > 2 and parts[1] in _KEPT_DATA else None
    if "tests" in parts or parts[:2] in _UNUSED:
        return None
    return PurePosixPath(name)


def forget_others(target: Path) -> None:
    """Throw away what earlier versions unpacked; what is in use stays until the next time."""
    for other in target.parent.iterdir():
        if other != target and (other / LAUNCHER).is_file():
            shutil.rmtree(other, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """The command."""
    packed, target = map(Path, sys.argv[1:])
    # Cancel ends this process; what it has unpacked shall go with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Cancelled"))
    try:
        unpack(packed, target)
    except NotUnpackedError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(_sentence_of(error, target))
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        sys.exit(f"The packed backend is damaged ({type(error).__name__}: {error}): install the extension again")


def _sentence_of(error: OSError, target: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"The disk of {target.parent} is full: make room and try again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.filename or target.parent} may not be written: give this user the right to, and try again"
    return f"The backend was not unpacked ({error}): try again, or install the extension again"


if __name__ == "__main__":
    main()
