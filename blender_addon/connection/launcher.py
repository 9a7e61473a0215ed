"""Starts the unpacked backend that it lies beside, after a look whether all of it is there.

Copied by `unpack_runtime`, which writes the list of files. Needs nothing but the standard library.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import NoReturn

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = "files.json"
"""The size in bytes of each file, by its path."""
TOLD = 3
"""The exit status after a line for the user."""


def harmed() -> str | None:
    """The first file that is missing or has another size; None if all is well."""
    try:
        with open(os.path.join(HERE, FILES), encoding="utf-8") as file:
            sizes = json.load(file)
    except (OSError, ValueError):
        return FILES
    for name, size in sizes.items():
        try:
            if os.stat(os.path.join(HERE, name)).st_size == size:
                continue
        except OSError:
            pass
        return name
    return None


def end(sentence: str) -> NoReturn:
    """Go with a last line for the user."""
    print(sentence, file=sys.stderr)
    sys.exit(TOLD)


def main() -> None:
    """Run the backend's command line."""
    if name := harmed():
        # A backend without its launcher is unpacked anew.
        os.remove(os.path.abspath(__file__))
        end(
            f"A file of the backend was taken away or changed, as some virus scanners do ({name}): have them leave "
            f"{HERE} alone, then press Start, which unpacks it again."
        )
    sys.path.insert(0, HERE)
    try:
        run = importlib.import_module("backend.commands.app").main
    except (ImportError, OSError) as error:
        # numpy's has many lines, the cause in the last.
        cause = (str(error).strip() or type(error).__name__).splitlines()[-1]
        end(f"The backend cannot be loaded ({cause}): this computer may forbid programs in {HERE}, or lack a library.")
    run()


if __name__ == "__main__":
    main()
