"""How real made people look: a blind test beside photos, and what dlib makes of their faces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from backend.metrics.face_recogniser import weights_file
from backend.people.synthesis.files import read_person
from backend.photos import decode_photo, read_photo
from backend.photos.saving import save_picture
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import write_file
from backend.protocol.pictures import bytes_over_grey
from backend.tracking.faces import find_face
from backend.tracking.person import find_person
from backend.tracking.photo import FACE_HEIGHTS, crop_around, to_crop

MADE, GIVEN = "made", "given"
TILE, COLUMNS, LABEL = 128, 8, 20
"""Pixels of a head's sides; heads of a row, and rows of a sheet; pixels of the number below."""
SEEN_HEIGHTS = 2.0
"""Face heights that a tile shows."""
CROP = 512


def blind_heads(
    people: Iterable[Path], photos: Iterable[Path], count: int, seed: int
) -> list[tuple[str, str, np.ndarray]]:
    """Heads on grey of made people and of photos in a random order: kind, name, (TILE, TILE, 3) uint8.

    Made people are cut out by their own alpha, photos by the parser's matte; both are framed by the face that our
    detector finds. Where it finds none, the next one drawn takes its place.

    Args:
        people: folders of `data synthesize`. count: so many of each kind, or as many as there are.
    """
    rng = np.random.default_rng(seed)
    drawn = {kind: [list(paths)[k] for k in rng.permutation(len(list(paths)))]
             for kind, paths in ((MADE, list(people)), (GIVEN, list(photos)))}  # fmt: skip
    cut = {MADE: _made_head, GIVEN: _photographed_head}
    heads = [
        (kind, name, tile) for kind, paths in drawn.items() for name, tile in islice(_heads(paths, cut[kind]), count)
    ]
    return [heads[k] for k in rng.permutation(len(heads))]


def _heads(paths: Iterable[Path], cut) -> Iterator[tuple[str, np.ndarray]]:
    for path in paths:
        try:
            yield path.stem, cut(path)
        except TurboPortraitError:
            continue


def _made_head(path: Path) -> np.ndarray:
    person = read_person(path)
    alpha = person.images[0][..., 3]
    # Where something shines through from behind, the camera's own picture is not the person's alone.
    color = np.where(alpha[..., None] == 255, person.portrait, person.images[0][..., :3])
    landmarks = find_face(person.portrait).landmarks[:468]
    crop, shown = (crop_around(image, landmarks, CROP) for image in (color, alpha))
    return _tile(crop.image, np.where(crop.valid, shown.image, 0))


def _photographed_head(path: Path) -> np.ndarray:
    face = find_face(decode_photo(read_photo(path)).rgb)
    crop = crop_around(face.photo, face.landmarks[:468], CROP)
    regions, _ = find_person(crop, to_crop(crop, face.landmarks))
    return _tile(regions.foreground, np.rint(255 * regions.alpha).astype(np.uint8))


def _tile(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    rim = round(CROP * (1 - SEEN_HEIGHTS / FACE_HEIGHTS) / 2)
    picture = bytes_over_grey(np.dstack([color, alpha]))[rim:-rim, rim:-rim]
    return cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA)


def write_blind_test(heads: list[tuple[str, str, np.ndarray]], output: Path) -> list[Path]:
    """Write sheets of numbered heads, for a viewer, and apart from them who they are; the sheets' paths."""
    font = ImageFont.load_default(LABEL - 4)
    sheets: list[Path] = []
    for first in range(0, len(heads), COLUMNS**2):
        page = heads[first : first + COLUMNS**2]
        size = (COLUMNS * (TILE + 4), -(-len(page) // COLUMNS) * (TILE + LABEL))
        sheet = Image.new("RGB", size, "white")
        pen = ImageDraw.Draw(sheet)
        for k, (_, _, tile) in enumerate(page):
            x, y = k % COLUMNS * (TILE + 4), k // COLUMNS * (TILE + LABEL)
            sheet.paste(Image.fromarray(tile), (x, y))
            pen.text((x + 2, y + TILE), str(first + k + 1), fill="black", font=font)
        sheets.append(output / "sheets" / f"sheet_{len(sheets) + 1}.png")
        sheets[-1].parent.mkdir(parents=True, exist_ok=True)
        save_picture(sheets[-1], np.asarray(sheet))
    key = {str(k): {"kind": kind, "name": name} for k, (kind, name, _) in enumerate(heads, 1)}
    write_file(output / "key.json", json.dumps(key, indent=1) + "\n")
    return sheets


class Sorted(NamedTuple):
    """What a viewer made of the heads: of how many answered, how many are right, and by what they are."""

    answered: int
    right: int
    by_kind: Mapping[str, tuple[int, int]]
    """Kind -> (right, answered)."""


def count_answers(key: Path, answers: Path) -> Sorted:
    """Compare a viewer's answers, lines `NUMBER made|given`, with the key of `write_blind_test`.

    Raises:
        TurboPortraitError: `bad_report`: a line is no answer, or a file cannot be read.
    """
    by_kind = {MADE: (0, 0), GIVEN: (0, 0)}
    try:
        known = json.loads(key.read_text())
        for line in filter(str.strip, answers.read_text().splitlines()):
            number, said = line.split()
            if said not in by_kind:
                raise ValueError(f"{line!r} does not say {MADE} or {GIVEN}")
            kind = known[number]["kind"]
            right, answered = by_kind[kind]
            by_kind[kind] = (right + (said == kind), answered + 1)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TurboPortraitError("bad_report", f"{answers}: {error}") from error
    right, answered = (sum(counts) for counts in zip(*by_kind.values(), strict=True))
    return Sorted(answered, right, by_kind)


class Faces(NamedTuple):
    """What dlib makes of portraits: how many there are, in which it finds no face, how wide embeddings are spread.

    Attributes:
        spread: the mean distance between different portraits' embeddings; dlib calls two faces one person's below 0.6.
    """

    portraits: int
    faceless: list[Path]
    spread: float


def measure_faces(portraits: Iterable[Path]) -> Faces:
    """Find and embed faces wholly by dlib: its detector at twice the size, its 68 landmarks, its ResNet (King 2017).

    Raises:
        TurboPortraitError: `missing_package`: dlib or its weights are not installed.
    """
    weights = weights_file()
    try:
        import dlib
    except ImportError:
        weights = None
    if weights is None:
        raise TurboPortraitError(
            "missing_package", "dlib with its weights", hint="Run `pip install 'turboportrait3d[evaluation]'`."
        )
    detector = dlib.get_frontal_face_detector()
    landmarks = dlib.shape_predictor(str(weights.with_name("shape_predictor_68_face_landmarks.dat")))
    network = dlib.face_recognition_model_v1(str(weights))
    faceless, embeddings = [], []
    for path in portraits:
        image = decode_photo(read_photo(path)).rgb
        found = detector(image, 1)
        if not found:
            faceless.append(path)
            continue
        largest = max(found, key=lambda box: box.area())
        embeddings.append(np.array(network.compute_face_descriptor(image, landmarks(image, largest))))
    distances = [np.linalg.norm(a - b) for a, b in combinations(embeddings, 2)]
    return Faces(len(faceless) + len(embeddings), faceless, float(np.mean(distances)) if distances else float("nan"))
