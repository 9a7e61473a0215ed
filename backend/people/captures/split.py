"""Who is never trained on: decided by the identity's name alone, so that it stays so whatever else is on the disk."""

from __future__ import annotations

import hashlib

AVA256_HELD_OUT = frozenset((
    "BDF920", "BXQ083", "CPP930", "DPE040", "GZU008", "NCC597", "NCU289", "NNQ107",
    "ONK818", "PGO261", "TXE513", "UIQ957", "UMQ592", "YIK625", "ZEL435", "ZUS575",
))  # fmt: skip
"""The 16 subjects of Ava-256's published validation list (`16_val.csv` in the history of its repository)."""
HELD_OUT_SHARE = {"nersemble": 33 / 387, "panohead": 1 / 16}
"""NeRSemble: 33 of 387 as in the paper, which does not name them."""


def is_held_out(source: str, identity: str) -> bool:
    """Whether a person is kept for the evaluation.

    Args:
        source: "ava256", "nersemble" or "panohead".
        identity: the person's name in it.
    """
    if source == "ava256":
        return identity.upper() in AVA256_HELD_OUT
    digest = hashlib.sha256(f"{source}/{identity}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < HELD_OUT_SHARE[source] * 2**64
