"""From a portrait to finished frames: avatars by maker and id, raw rendering, refining, compositing."""

from backend.pipeline.catalog import Catalog
from backend.pipeline.pipeline import Pipeline
from backend.pipeline.store import AvatarStore, Registration

__all__ = ["AvatarStore", "Catalog", "Pipeline", "Registration"]
