"""What a set-up fetches: the sum of the wheels of a checkout's extras on Linux x64 with Python 3.11, by uv's lock.

    python tools/measure_fetch.py CHECKOUT EXTRA [EXTRA ...]

Nothing is downloaded. Source archives count where there is no wheel. Torch's CPU build, which is not on the package
index, is counted as by the lock of the full backend, where that names it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lock_full_backend import CUDA_ONLY, resolved, wheels_for
from platform_wheels import wanted

CPU_TORCH_BYTES = 191_794_682
"""Of torch 2.13.0's CPU build for Linux and Python 3.11."""


def main() -> None:
    """Print both sums."""
    root, extras = Path(sys.argv[1]), sys.argv[2:]
    requirements = wanted(*extras, root=root)
    packages = resolved(requirements, root / "constraints.txt", ("linux-x64",), ">=3.11,<3.12", wheels_only=False)
    sizes = {name: wheel["size"] for name, (_, wheel) in wheels_for(packages, "linux-x64", "311").items()}
    plain = {name: size for name, size in sizes.items() if not name.startswith(CUDA_ONLY)}
    if "torch" in plain:
        plain["torch"] = CPU_TORCH_BYTES
    print(f"{len(sizes)} packages, {sum(sizes.values()) / 1e6:.0f} MB; with torch for the CPU", end=" ")
    print(f"{len(plain)} packages, {sum(plain.values()) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
