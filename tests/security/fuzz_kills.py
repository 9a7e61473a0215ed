"""A batch that is killed at a random moment, again and again, and then resumed: no finished frame is lost."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from .tiny_batch import FRAMES, WHOLE, Forks, batch, check_whole, pictures, recorded, times

KILLS = 2
"""The most kills before a batch is let go to its end."""
OTHERS = (".turn.0001.abc.part.png", f".{'0' * 32}.part", "turn.0001.png.part")
"""Files of somebody else whose names look like something half written."""


def run(count: int, seed: int) -> dict[str, int]:
    """See the package: how many frames were there when each batch was killed."""
    chance, outcomes = random.Random(seed), Counter()
    with tempfile.TemporaryDirectory() as name, Forks(Path(name)) as forks:
        folder, killed = Path(name), 0
        seconds = min(_undisturbed(forks, name, f"{name}/undisturbed{number}") for number in range(2))
        whole = pictures(folder / WHOLE)
        while killed < count:
            output, said = folder / f"kill{killed}", folder / f"kill{killed}.said"
            where = f"seed {seed}, kill {killed}"
            (output / "turn").mkdir(parents=True)
            for other in OTHERS:
                (output / "turn" / other).write_bytes(b"mine")
            before: dict[str, int] = {}
            for _ in range(min(chance.randint(1, KILLS), count - killed)):
                forks.call(batch, name, str(output), str(said), kill_after=seconds * chance.random() ** 1.5)
                there = pictures(output)
                assert there.items() <= whole.items(), f"half a picture: {where}"
                assert times(output, before) == before, f"made twice: {where}"
                # It may not even have begun to speak.
                before |= times(output, recorded(said.read_text() if said.exists() else ""))
                outcomes[f"killed with {len(there)} of {len(FRAMES)} frames"] += 1
                killed += 1
            ended = forks.call(batch, name, str(output), str(said))
            assert ended == (0, 0), f"not resumed: {where}\n{Path(f'{said}.log').read_text()}"
            try:
                check_whole(output, folder / WHOLE, said.read_text(), before)
            except AssertionError as error:
                raise AssertionError(where) from error
            assert all((output / "turn" / other).read_bytes() == b"mine" for other in OTHERS), where
    return dict(outcomes)


def _undisturbed(forks: Forks, folder: str, output: str) -> float:
    """How many seconds a batch takes now."""
    began = time.monotonic()
    assert forks.call(batch, folder, output, f"{output}.said") == (0, 0)
    return time.monotonic() - began
