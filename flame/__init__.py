"""FLAME-format head models: files in, vertices and joints out."""

from flame.files import HeadModelError, default_head_path, load_head_model
from flame.head_model import HeadModel, HeadVertices, LandmarkEmbedding
from flame.skinning import pose_vertices

__all__ = [
    "HeadModel",
    "HeadModelError",
    "HeadVertices",
    "LandmarkEmbedding",
    "default_head_path",
    "load_head_model",
    "pose_vertices",
]
