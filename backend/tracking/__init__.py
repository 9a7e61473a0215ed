"""From a photograph to FLAME parameters, a camera, landmarks and a matte."""

from backend.tracking.portrait import TrackedPortrait, track

__all__ = ["TrackedPortrait", "track"]
