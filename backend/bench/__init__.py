"""`turboportrait bench`: speed on this machine, as ratios measured side by side in one run where two ways exist."""

from backend.bench.product import app

__all__ = ["app"]
