"""Figure 6 and Table 2 as plots."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from PIL import Image

from backend.evaluation.measures import HIGHER_IS_BETTER
from backend.evaluation.regions import INSIDE

matplotlib.use("Agg")
from matplotlib import pyplot as plt

ROTATION = ("SSIM", "LPIPS", "FLIP", "ID", "L2")
"""The paper's four measures, and FLIP."""
NOISE = ("PSNR", "SSIM", "LPIPS", "FLIP", "ID")
LEAST_SPAN = {"PSNR": 0.6}


def rotation_plot(report: dict) -> np.ndarray | None:
    """Figure 6, (H, W, 3) uint8, inside both outlines; None where it was not measured."""
    rotation = {int(yaw): tables[INSIDE] for yaw, tables in report.get("figure6", {}).items()}
    shown = [name for name in ROTATION if any(name in table.get("raw", {}) for table in rotation.values())]
    if not shown:
        return None
    figure, axes = plt.subplots(1, len(shown), figsize=(3.2 * len(shown), 3), squeeze=False)
    for axis, name in zip(axes[0], shown, strict=True):
        for method in ("raw", "refined"):
            points = sorted((yaw, t[method][name]) for yaw, t in rotation.items() if name in t.get(method, {}))
            axis.plot(*zip(*points, strict=True), "o-", label=method, markersize=4)
        axis.set(title=_title(name), xlabel="yaw (degrees)", xticks=[-90, -45, 0, 45, 90])
        axis.grid(alpha=0.3)
    axes[0, 0].legend()
    return _picture(figure)


def noise_plot(report: dict) -> np.ndarray | None:
    """Table 2, likewise."""
    levels = report["table2"]
    shown = [name for name in NOISE if any(name in values for values in levels.values())]
    if not shown:
        return None
    figure, axes = plt.subplots(1, len(shown), figsize=(3.2 * len(shown), 3), squeeze=False)
    for axis, name in zip(axes[0], shown, strict=True):
        values = [found.get(name, np.nan) for found in levels.values()]
        axis.plot([float(level) for level in levels], values, "o-")
        # Never so near that differences which mean nothing look large.
        axis.set_ylim(*_about(values, LEAST_SPAN.get(name, 0.02)))
        axis.set(title=_title(name), xlabel="noise level r")
        axis.grid(alpha=0.3)
    return _picture(figure)


def _title(name: str) -> str:
    return f"{name} {'↑' if name in HIGHER_IS_BETTER else '↓'}"


def _about(values: Sequence[float], least: float) -> tuple[float, float]:
    finite = [value for value in values if np.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    beside = max(least - (high - low), 0.1 * (high - low)) / 2
    return low - beside, high + beside


def _picture(figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.tight_layout()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    return np.asarray(Image.open(buffer, formats=["PNG"]).convert("RGB"))
