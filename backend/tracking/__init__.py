"""From a photograph to FLAME parameters, a camera, landmarks and a matte."""

from backend.tracking.errors import TrackingError
from backend.tracking.parser import PortraitParser, Regions
from backend.tracking.portrait import TrackedPortrait, track

__all__ = ["PortraitParser", "Regions", "TrackedPortrait", "TrackingError", "track"]
