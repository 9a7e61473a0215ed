"""How near our face models are to MediaPipe's own, on portraits as they are and small in a large photo.

    python tools/compare_face_models.py FOLDER [--size 512] [--limit N]

It needs mediapipe 0.10.21 in the environment and prints the tables of `docs/measurements/face_models.md`.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from mediapipe.python.solutions.face_detection import FaceDetection
from mediapipe.python.solutions.face_mesh import FaceMesh

from backend.photos import find_photos
from backend.tracking.face_mesh import LEAST_DETECTION, find_irises, find_mesh
from backend.tracking.landmarks import LEAST_SCORES

SMALL, LARGE = 128, 1536
"""Pixels: the portrait's width in a photo of a small face, and that photo's."""


class Comparison:
    """Both sides on one photo after the other."""

    def __init__(self) -> None:
        options = {"static_image_mode": True, "max_num_faces": 1, "min_detection_confidence": LEAST_DETECTION}
        self.mesh = FaceMesh(refine_landmarks=False, **options)
        self.refined = FaceMesh(refine_landmarks=True, **options)
        self.detectors = [FaceDetection(model_selection=far) for far in (0, 1)]
        self.apart: dict[str, list[float]] = {}
        self.found: dict[str, list[tuple[int, int]]] = {}
        self.seconds: dict[str, list[float]] = {}

    def add(self, photo: np.ndarray) -> None:
        """Compare detectors, mesh and irises on a photo (H, W, 3) uint8."""
        size = np.array(photo.shape[1::-1], float)
        for name, (detector, least), theirs in zip(("near", "far"), LEAST_SCORES, self.detectors, strict=True):
            expected = theirs.process(photo).detections or []
            _, faces = detector(photo, least)
            self.found.setdefault(f"faces of the {name} detector", []).append((len(expected), len(faces)))
            for their_face, face in zip(expected, faces, strict=False):
                points = [(p.x, p.y) for p in their_face.location_data.relative_keypoints] * size
                self._note(f"points of the {name} detector", points, face[2:])
        expected = self._timed("MediaPipe, mesh", lambda: self._theirs(self.mesh, photo))
        mesh = self._timed("ours, mesh", lambda: find_mesh(photo))
        self.found.setdefault("meshes", []).append((expected is not None, mesh is not None))
        if expected is None or mesh is None:
            return
        self._note("468 landmarks, x and y", expected[:, :2], mesh[:, :2])
        self._note("468 landmarks, depth", expected[:, 2:], mesh[:, 2:])
        refined = self._timed("MediaPipe, mesh and irises", lambda: self._theirs(self.refined, photo))
        irises = self._timed("ours, irises", lambda: find_irises(photo, mesh))
        if refined is not None:
            self._note("irises, to the refined mesh's", refined[468:, :2], irises[:, :2])
            self._note("468 landmarks, to the refined mesh's", refined[:468, :2], mesh[:, :2])

    @staticmethod
    def _theirs(mesh: FaceMesh, photo: np.ndarray) -> np.ndarray | None:
        height, width = photo.shape[:2]
        faces = mesh.process(photo).multi_face_landmarks
        return np.array([(p.x * width, p.y * height, p.z * width) for p in faces[0].landmark]) if faces else None

    def _timed(self, name: str, work: Callable[[], np.ndarray | None]) -> np.ndarray | None:
        start = time.perf_counter()
        result = work()
        self.seconds.setdefault(name, []).append(time.perf_counter() - start)
        return result

    def _note(self, name: str, expected: np.ndarray, found: np.ndarray) -> None:
        self.apart.setdefault(name, []).extend(np.linalg.norm(np.asarray(expected) - found, axis=1))

    def table(self, title: str) -> Iterator[str]:
        """Lines of Markdown."""
        yield f"### {title}\n"
        yield "| distance, pixels | median | 99 % | most |"
        yield "| --- | --- | --- | --- |"
        for name, values in self.apart.items():
            yield f"| {name} | {np.median(values):.4f} | {np.percentile(values, 99):.4f} | {np.max(values):.4f} |"
        yield "\n| found | MediaPipe | ours | photos where the numbers differ |"
        yield "| --- | --- | --- | --- |"
        for name, pairs in self.found.items():
            theirs, ours = np.array(pairs, int).T
            yield f"| {name} | {theirs.sum()} | {ours.sum()} | {(theirs != ours).sum()} of {len(pairs)} |"
        yield "\n| time, median | ms |"
        yield "| --- | --- |"
        for name, values in self.seconds.items():
            yield f"| {name} | {1000 * np.median(values):.1f} |"
        yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="portraits, searched in all folders below")
    parser.add_argument("--size", type=int, default=512, help="pixels to which portraits are scaled")
    parser.add_argument("--limit", type=int, help="so many of them only")
    options = parser.parse_args()
    paths = list(find_photos(options.folder).values())[: options.limit]
    whole, small = Comparison(), Comparison()
    for path in paths:
        portrait = Image.open(path).convert("RGB").resize((options.size,) * 2, Image.Resampling.LANCZOS)
        whole.add(np.asarray(portrait).copy())
        photo = np.full((LARGE, LARGE, 3), np.asarray(portrait)[:8, :8].mean((0, 1)), np.uint8)
        corner = (LARGE - SMALL) // 3
        photo[corner : corner + SMALL, corner : corner + SMALL] = portrait.resize((SMALL,) * 2, Image.Resampling.BOX)
        small.add(photo)
    for comparison, title in (
        (whole, f"{len(paths)} portraits at {options.size}x{options.size}"),
        (small, f"The same, {SMALL} pixels wide in a photo of {LARGE}"),
    ):
        print("\n".join(comparison.table(title)))


if __name__ == "__main__":
    main()
