"""What every measurement says: percentiles, and the machine they were taken on."""

from __future__ import annotations

import os
import platform

import numpy as np


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Median and 95th percentile in milliseconds."""
    p50, p95 = np.percentile(np.array(seconds) * 1000, (50, 95))
    return {"p50_ms": round(p50, 1), "p95_ms": round(p95, 1)}


def machine() -> str:
    """A few words on the machine, for a report."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
