"""From a video or a camera to a performance: frames, the face that is followed, the fit of each frame, smoothing."""

from backend.tracking.clips.clip import Costs, Settings, track_clip

__all__ = ["Costs", "Settings", "track_clip"]
