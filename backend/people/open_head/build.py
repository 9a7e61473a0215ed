"""Put the open head together and save it in FLAME's format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from backend.people.open_head import joints as rig
from backend.people.open_head.crop import MeshCrop, crop_mesh
from backend.people.open_head.identity import principal_components, sample_heads
from backend.people.open_head.source import Body, BodySource
from backend.protocol.files import npz_bytes, write_file

BELOW_EYES = 0.375
"""Metres below the eyes of the bottom cut: 25 cm below the chin."""
HALF_WIDTH = 0.24
"""Metres from the middle to the cut through each shoulder, outside the frame of any head-and-shoulders portrait."""
NECK_BASE, NECK_HALF_WIDTH = -0.185, 0.075
"""Metres from the eyes: the collar bones, and where the neck's sides become shoulders."""
SEED = 20
PARENTS = (-1, 0, 1, 1, 1)


@dataclass(frozen=True)
class HeadCut:
    """How heads are cut from bodies.

    Attributes:
        body: the neutral adult, its origin between the eyes. cut: its head as a linear function of it.
        head_share: (V,) in [0, 1], how much a vertex belongs to the skull.
    """

    body: Body
    cut: MeshCrop
    head_share: np.ndarray

    @property
    def neutral(self) -> np.ndarray:
        """(V, 3) the neutral adult's head."""
        return self.cut.vertices_from @ self.body.vertices

    def heads(self, bodies: np.ndarray) -> np.ndarray:
        """Heads (n, V, 3) float32 of bodies (n, N, 3).

        People differ in where their body has its head; that is the camera's business, so it is taken out.
        """
        return np.stack([self.cut.vertices_from @ body for body in self.placed(bodies)]).astype(np.float32)

    def placed(self, bodies: np.ndarray) -> np.ndarray:
        """Bodies (n, N, 3) moved so that their heads are where the neutral adult's is."""
        anchor = self.head_share > 0.99
        middles = np.stack([(self.cut.vertices_from @ body)[anchor].mean(0) for body in bodies])
        return bodies - middles[:, None] + self.neutral[anchor].mean(0)


def cut_heads(source: BodySource) -> HeadCut:
    """Cut the neutral adult below the shoulders, and with it everyone else."""
    body = source.body()
    seen = np.bincount(body.faces.ravel(), minlength=len(body.vertices)) > 0
    eyes = [rig.sphere_centre(body.vertices[seen & (body.bone_weights[f"eye.{s}"] > 0.5)]) for s in "LR"]
    origin = sum(eyes) / 2
    body = replace(
        body,
        vertices=body.vertices - origin,
        bone_heads={name: p - origin for name, p in body.bone_heads.items()},
    )
    planes = [
        (np.array([0.0, 1, 0]), -BELOW_EYES),
        (np.array([1.0, 0, 0]), -HALF_WIDTH),
        (np.array([-1.0, 0, 0]), -HALF_WIDTH),
    ]
    cut = crop_mesh(body.vertices, body.faces, len(body.uv), body.uv_faces, planes)
    share = cut.vertices_from @ (body.bone_weights["head"] + body.bone_weights["eye.L"] + body.bone_weights["eye.R"])
    return HeadCut(body, cut, np.clip(share, 0, 1))


def build_open_head(source: BodySource | None = None) -> tuple[dict[str, np.ndarray], float]:
    """The open head without its landmark embedding.

    Returns:
        Its arrays by the keys of `flame.files`, and the share of the sampled variance that the identity basis holds.
    """
    source = source or BodySource()
    parts = cut_heads(source)
    body, cut, head_share, neutral = parts.body, parts.cut, parts.head_share, parts.neutral
    weights = {name: cut.vertices_from @ w for name, w in body.bone_weights.items()}
    actions = np.stack([cut.vertices_from @ a for a in body.actions])

    heads = sample_heads(source, parts.heads, np.random.default_rng(SEED))
    importance = np.clip(head_share, 0.05, 1) * _vertex_areas(neutral, cut.faces)
    mean, identity, share = principal_components(heads, importance)

    smooth = rig.adjacency(cut.faces, len(mean))
    jaw_open = actions[body.action_names.index("jawOpen")]
    regions = _regions(body, cut, weights)
    joints, lbs_weights = _rig(mean, jaw_open, weights, smooth, regions, body)
    arrays = {
        "v_template": mean.astype(np.float32),
        "f": cut.faces,
        # Half precision is below 0.02 mm here, and halves the file.
        "shapedirs": np.concatenate([identity, np.moveaxis(actions, 0, 2)], 2).astype(np.float16),
        "num_shape": np.array(identity.shape[2]),
        "shape_names": np.array(["size", *(f"identity_{i:03d}" for i in range(1, identity.shape[2]))]),
        "expression_names": np.array(body.action_names),
        "expression_range": np.tile([0.0, 1.0], (len(actions), 1)),
        "J_regressor": _regressor(mean, joints, actions, weights, regions).astype(np.float32),
        "kintree_table": np.array([PARENTS, range(5)]),
        "weights": lbs_weights.astype(np.float32),
        "vt": (cut.uv_from @ body.uv).astype(np.float32),
        "ft": cut.uv_faces,
        **{f"region_{name}": np.flatnonzero(mask).astype(np.int32) for name, mask in regions.items()},
    }
    return arrays, share


def save_arrays(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write the arrays as a compressed .npz."""
    write_file(path, npz_bytes(**arrays))


def _vertex_areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,) a third of the area around each vertex, relative to the mean."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    total = np.sum([np.bincount(faces[:, k], area, len(vertices)) for k in range(3)], 0)
    return total / total.mean()


def _regions(body: Body, cut: MeshCrop, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Vertex masks (V,) by name."""
    count = cut.vertices_from.shape[0]

    def vertices_of(part: str) -> np.ndarray:
        inside = np.zeros(count, bool)
        inside[cut.faces[body.parts[part][cut.source_face]]] = True
        outside = np.zeros(count, bool)
        outside[cut.faces[~body.parts[part][cut.source_face]]] = True
        return inside & ~outside

    regions = {name: vertices_of(name) for name in ("mouth_interior", "tongue", "eye_socket")}
    regions["eye_left"], regions["eye_right"] = weights["eye.L"] > 0.5, weights["eye.R"] > 0.5
    for name, offsets in body.ears.items():
        size = np.linalg.norm(cut.vertices_from @ offsets, axis=1)
        regions[name] = size > 0.6 * size.max()
    head = weights["head"] + weights["eye.L"] + weights["eye.R"] >= 0.5
    place = cut.vertices_from @ body.vertices
    # anny bends the throat with the spine, so the neck is told by where it is.
    regions["neck"] = ~head & (place[:, 1] > NECK_BASE) & (np.abs(place[:, 0]) < NECK_HALF_WIDTH)
    regions["torso"] = ~head & ~regions["neck"]
    return regions


def _rig(
    vertices: np.ndarray,
    jaw_open: np.ndarray,
    weights: dict[str, np.ndarray],
    smooth: sp.csr_matrix,
    regions: dict[str, np.ndarray],
    body: Body,
) -> tuple[np.ndarray, np.ndarray]:
    """Joints (5, 3) on the mean head and skinning weights (V, 5)."""
    joints = np.zeros((5, 3))
    joints[0] = (body.bone_heads["neck01"] + body.bone_heads["spine01"]) / 2
    joints[1] = (body.bone_heads["neck02"] + body.bone_heads["neck03"]) / 2
    size = np.linalg.norm(jaw_open, axis=1)
    chin = (size > 0.7 * size.max()) & ~regions["mouth_interior"] & ~regions["tongue"]
    joints[2] = rig.fit_hinge(vertices[chin], jaw_open[chin], guess=np.array([0, -0.043, -0.058]))
    for j, side in ((3, "left"), (4, "right")):
        joints[j] = rig.sphere_centre(vertices[regions[f"eye_{side}"]])
    joints[:3, 0] = 0

    eyes = [weights["eye.L"], weights["eye.R"]]
    # anny bends the neck in four bones, FLAME in one: each bone follows by how far up it is.
    above_neck = (
        weights["head"] + sum(eyes) + 0.75 * weights["neck03"] + 0.45 * weights["neck02"] + 0.15 * weights["neck01"]
    )
    for _ in range(5):
        above_neck = smooth @ above_neck
    for eye in eyes:
        above_neck[eye > 0.5] = 1
    jaw = np.minimum(rig.jaw_weights(vertices, jaw_open, joints[2], smooth), above_neck)
    jaw[regions["tongue"]] = 1
    jaw[regions["eye_left"] | regions["eye_right"] | regions["eye_socket"]] = 0
    skin = np.stack([1 - above_neck, above_neck - jaw, jaw, np.zeros_like(jaw), np.zeros_like(jaw)], 1)
    for j, side in ((3, "left"), (4, "right")):
        skin[regions[f"eye_{side}"]] = np.eye(5)[j]
    return joints, np.clip(skin, 0, 1)


def _regressor(
    vertices: np.ndarray,
    joints: np.ndarray,
    actions: np.ndarray,
    weights: dict[str, np.ndarray],
    regions: dict[str, np.ndarray],
) -> np.ndarray:
    """(5, V): each joint from vertices about it that no expression moves, so that a face does not shift its joints."""
    still = np.linalg.norm(actions, axis=2).max(0) < 1e-4
    inner = regions["mouth_interior"] | regions["tongue"] | regions["eye_socket"]
    rows = []
    for j, reach in ((0, 0.06), (1, 0.04), (2, 0.05)):
        near = np.abs(vertices[:, 1] - joints[j, 1]) < reach
        if j == 2:
            near &= np.linalg.norm(vertices[:, 1:] - joints[j, 1:], axis=1) < reach
        rows.append(rig.regress_joint(vertices, np.flatnonzero(near & still & ~inner), joints[j], actions))
    for j, side in ((3, "left"), (4, "right")):
        rows.append(rig.regress_joint(vertices, np.flatnonzero(regions[f"eye_{side}"]), joints[j], actions))
    return np.stack(rows)
