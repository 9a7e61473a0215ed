"""`python -m backend.open_head` builds the open head, its landmark embedding and its pictures."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from backend.open_head.build import build_open_head, save_arrays
from backend.open_head.pictures import write_pictures
from backend.tracking.embedding import compute_embedding, face_region
from flame import default_head_path, load_head_model
from flame.files import head_model_from_arrays


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m backend.open_head", description=__doc__)
    parser.add_argument("--output", type=Path, default=default_head_path(), help="where to write the head model")
    parser.add_argument("--pictures", type=Path, default=Path("docs"), help="folder for the two pictures")
    options = parser.parse_args()
    start = time.perf_counter()
    arrays, variance_share = build_open_head()
    _add_landmarks(arrays)
    save_arrays(arrays, options.output)
    model = load_head_model(options.output)
    options.pictures.mkdir(parents=True, exist_ok=True)
    write_pictures(model, options.pictures)
    print(
        f"{options.output.name}: {len(model.v_template)} vertices, {len(model.faces)} triangles, "
        f"{model.num_shape} + {model.num_expression} components, the identity's holding "
        f"{100 * variance_share:.1f} % of the sampled variance, "
        f"{options.output.stat().st_size / 1e6:.1f} MB, {time.perf_counter() - start:.0f} s"
    )


def _add_landmarks(arrays: dict[str, np.ndarray]) -> None:
    """The embedding, and the regions that it bounds."""
    model = head_model_from_arrays(arrays, "open_head", "")
    embedding = compute_embedding(model)
    arrays["landmark_face_index"] = embedding.face_index
    arrays["landmark_barycentric"] = embedding.barycentric
    arrays["landmark_weight"] = embedding.weight
    face = face_region(head_model_from_arrays(arrays, "open_head", ""))
    arrays["region_face"] = face
    # What no other region claims is hair above the ear lobes, and neck below.
    taken = np.concatenate([face, *model.regions.values()])
    rest = np.setdiff1d(np.arange(len(model.v_template)), taken)
    lobes = model.v_template[np.concatenate([model.regions["ear_left"], model.regions["ear_right"]]), 1].min()
    above = model.v_template[rest, 1] > lobes - 0.01
    arrays["region_scalp"] = rest[above].astype(np.int32)
    arrays["region_neck"] = np.union1d(arrays["region_neck"], rest[~above]).astype(np.int32)


if __name__ == "__main__":
    main()
