"""The long form of the fuzzers: python -m tests.security [NAME...], as `make fuzz` runs it.

After each round the figures go to docs/measurements/security.json; interrupted, it goes on with the next round.
`--anew` forgets the figures of those that are named, or of all.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

from backend.bench.report import machine
from tests.security import FUZZERS, Fuzzer

FIGURES = Path(__file__).parents[2] / "docs" / "measurements" / "security.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.security", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(fuzzer.name for fuzzer in FUZZERS))
    parser.add_argument("--anew", action="store_true", help="forget earlier figures")
    arguments = parser.parse_args()
    for fuzzer in FUZZERS:
        if fuzzer.name in (arguments.names or [each.name for each in FUZZERS]):
            complete(fuzzer, arguments.anew)


def complete(fuzzer: Fuzzer, anew: bool) -> None:
    """Run the rounds that are still to do."""
    figures = {} if anew else _read().get(fuzzer.name, {})
    while (done := figures.get("attacks", 0)) < fuzzer.long:
        count = min(-(-fuzzer.long // fuzzer.rounds), fuzzer.long - done)
        began = time.monotonic()
        seen = Counter(figures.get("outcomes", {})) + Counter(fuzzer.run(count, seed=done))
        figures = {
            "machine": machine(),
            "attacks": done + count,
            "seconds": round(figures.get("seconds", 0) + time.monotonic() - began),
            "outcomes": dict(sorted(seen.items())),
        }
        # Read again: another fuzzer may have written meanwhile.
        FIGURES.write_text(json.dumps(_read() | {fuzzer.name: figures}, indent=2) + "\n")
        print(f"{fuzzer.name}: {figures['attacks']} of {fuzzer.long}, {figures['seconds']} s", flush=True)


def _read() -> dict:
    return json.loads(FIGURES.read_text()) if FIGURES.exists() else {}


if __name__ == "__main__":
    main()
