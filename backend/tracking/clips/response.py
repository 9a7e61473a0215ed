"""What the landmarks' network makes of a face that acts: learnt from avatars, see `backend.training.landmark_response`.

It shows a raised brow only half and a pout as half a smile; and its landmarks err together, not each by itself. Knowing
both is what tells actions from each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from flame import HeadModel
from flame.npz import load_npz

FILE = Path(__file__).with_name("response.npz")
MESH = 468


@dataclass(frozen=True, eq=False)
class Response:
    """Attributes:
    basis: (468, 3, A) metres in head space, how far each landmark goes at a whole action; the head model's actions
        without those of the gaze.
    modes: (936, K) pixels of a face in a crop of 512, errors that the landmarks have together: one standard deviation.
    floor: (468,) pixels, the error that each has by itself.
    """

    basis: np.ndarray
    modes: np.ndarray
    floor: np.ndarray

    @staticmethod
    def fitted(model: HeadModel) -> np.ndarray:
        """(E,) bool, the actions that landmarks tell: not where eyes look, and no tongue."""
        return np.array([not name.startswith("eyeLook") and name != "tongueOut" for name in model.expression_names])

    @classmethod
    def geometric(cls, model: HeadModel) -> Response:
        """That of a network that shows the head model's own landmarks; the model must have them."""
        if model.landmarks is None:
            raise ValueError("the head model has no landmarks: see `with_landmarks`")
        basis = model.landmark_positions(model.expressiondirs.reshape(len(model.v_template), -1))
        basis = basis.reshape(-1, 3, model.num_expression)[:MESH, :, cls.fitted(model)].astype(float)
        weight = np.maximum(model.landmarks.weight[:MESH].astype(float), 0.01)
        return cls(basis, np.zeros((2 * MESH, 0)), 1 / np.sqrt(weight))

    @classmethod
    def of(cls, model: HeadModel) -> Response:
        """What was learnt of this head model, otherwise the geometric one."""
        learnt = _learnt()
        return learnt[1] if learnt and learnt[0] == model.checksum else cls.geometric(model)

    def arrays(self, model: HeadModel) -> dict[str, np.ndarray]:
        """For a file."""
        halves = {name: getattr(self, name).astype(np.float16) for name in ("basis", "modes", "floor")}
        return {"head_model": np.array(model.checksum), **halves}


@cache
def _learnt() -> tuple[str, Response] | None:
    if not FILE.is_file():
        return None
    arrays = load_npz(FILE.read_bytes())
    return str(arrays["head_model"]), Response(*(arrays[name].astype(float) for name in ("basis", "modes", "floor")))
