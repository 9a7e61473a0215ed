"""Weak labels of photos: hair by a published segmenter, the matte by closed-form matting, skin by the face's colours.

Hair: MediaPipe's hair segmenter (Tkachenka et al. 2019). Matte: Levin et al. 2008, colours: Germer et al. 2020, both by
pymatting, between what the parser that ships is sure of (its first version: MediaPipe's selfie segmentation).
"""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
from scipy import ndimage

from backend.people.parsing.pictures import FACE_HEIGHTS, SIZE, UNKNOWN, LabelledPicture
from backend.protocol.errors import TurboPortraitError
from backend.tracking.landmarks import FACE_OVAL
from backend.tracking.parser import CLASSES, PortraitParser
from backend.tracking.photo import Crop, crop_around

TEACHER_SIZE = 512
CHIN, NOSE_ROOT = 152, 168
SURE_SKIN, SURE_OTHER = 3.0, 4.5
"""Mahalanobis distances in Lab to the cheeks' colours: below the first it is skin, beyond the second it is not."""
SCARF_END = 0.5
"""Face heights in which headwear may go over into clothing."""
NECK, BARE = 0.25, 0.4
"""Face heights that a neck reaches below the chin at least, and a bald head above the face's oval at most."""
UNSURE_PIXELS = 9
"""Width at 512 pixels of the band in which the matte is estimated; hair widens it."""


class HairTeacher:
    """MediaPipe's hair segmenter.

    Args:
        path: `hair_segmentation.tflite`, run by the package ai-edge-litert.
    """

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """How likely each pixel is hair, (H, W) float32, of (H, W, 3) uint8; the mask before is taken as empty."""
        size = (TEACHER_SIZE, TEACHER_SIZE)
        tensor = np.zeros((1, *size, 4), np.float32)
        tensor[0, ..., :3] = cv2.resize(image, size, interpolation=cv2.INTER_AREA) / 255
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._output)[0]
        hair = 1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))
        return cv2.resize(hair, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


class Notes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What someone saw who looked at a portrait's weak labels.

    Attributes:
        headwear: None for a bare head; else face heights below the chin down to which what is neither skin nor hair is
            headwear. Where it ends, nothing is learnt.
        hair: whether the teacher's hair is hair; it takes cloth and fur for it, and shine on bald heads.
        skin: whether what has the skin's colours below the chin is skin and not cloth.
    """

    headwear: float | None = None
    hair: bool = True
    skin: bool = True


def read_notes(path: Path) -> dict[str, Notes]:
    """Notes by portrait from a TOML file with a table for each.

    Raises:
        TurboPortraitError: `bad_training_config`, with the name of what is wrong.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=dict[str, Notes])
    except (OSError, ValueError) as error:
        raise TurboPortraitError("bad_training_config", f"{path}: {error}") from error


def label_portrait(
    name: str, photo: np.ndarray, landmarks: np.ndarray, teacher: HairTeacher, notes: Notes
) -> LabelledPicture:
    """Label a photo.

    Args:
        photo: (H, W, 3) uint8. landmarks: (478, 3), photo pixels.
    """
    crop = crop_around(photo, landmarks[:468], TEACHER_SIZE, FACE_HEIGHTS)
    places = landmarks[:, :2] @ crop.from_photo[:, :2].T + crop.from_photo[:, 2]
    hair = teacher(crop.image)
    alpha, foreground = _matte(crop, hair)
    labels = _labels(crop, places, hair, alpha, notes)
    small = (SIZE, SIZE)
    return LabelledPicture(
        name=name,
        group=name,
        image=cv2.resize(crop.image, small, interpolation=cv2.INTER_AREA),
        valid=cv2.resize(crop.valid.astype(np.uint8), small, interpolation=cv2.INTER_NEAREST) > 0,
        labels=cv2.resize(labels, small, interpolation=cv2.INTER_NEAREST),
        alpha=cv2.resize(alpha, small, interpolation=cv2.INTER_AREA),
        foreground=cv2.resize(foreground, small, interpolation=cv2.INTER_AREA),
        landmarks=(places * SIZE / TEACHER_SIZE).astype(np.float32),
    )


def _matte(crop: Crop, hair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from pymatting import estimate_alpha_cf, estimate_foreground_ml

    person = np.maximum(PortraitParser.shipped().parse(crop.image, crop.valid).alpha, hair)
    inside = cv2.erode((person > 0.8).astype(np.uint8), np.ones((UNSURE_PIXELS,) * 2), borderValue=(1,)) > 0
    outside = cv2.dilate((person > 0.2).astype(np.uint8), np.ones((UNSURE_PIXELS,) * 2)) == 0
    # Loose strands reach beyond what a segmenter of so few pixels sees, and gaps lie within.
    at_hair = cv2.dilate((hair > 0.3).astype(np.uint8), np.ones((2 * UNSURE_PIXELS + 1,) * 2)) > 0
    wide = cv2.dilate((~inside & ~outside).astype(np.uint8), np.ones((UNSURE_PIXELS,) * 2)) > 0
    trimap = np.select([at_hair & wide, inside, outside], [0.5, 1.0, 0.0], 0.5)
    pixels = crop.image / 255.0
    alpha = estimate_alpha_cf(pixels, trimap)
    foreground = estimate_foreground_ml(pixels, alpha)
    return np.rint(255 * alpha).astype(np.uint8), np.rint(255 * foreground.clip(0, 1)).astype(np.uint8)


def _labels(crop: Crop, places: np.ndarray, hair: np.ndarray, alpha: np.ndarray, notes: Notes) -> np.ndarray:
    skin, hair_index, headwear, clothing = (CLASSES.index(name) for name in ("skin", "hair", "headwear", "clothing"))
    size = len(hair)
    face_height = size / FACE_HEIGHTS
    rows, columns = np.mgrid[:size, :size]
    chin, brows = places[CHIN, 1], places[NOSE_ROOT, 1]
    face = np.zeros((size, size), np.uint8)
    cv2.fillPoly(face, [np.rint(places[list(FACE_OVAL)]).astype(np.int32)], (1,))
    left, right = places[list(FACE_OVAL), 0].min(), places[list(FACE_OVAL), 0].max()
    beside = np.maximum(left - columns, columns - right) / face_height
    distance = _skin_distance(crop.image, face > 0, places)
    below = rows > chin
    near_chin = below & (rows < chin + NECK * face_height) & (beside < 0)
    labels: np.ndarray = np.full((size, size), UNKNOWN, np.uint8)
    labels[(distance < SURE_SKIN) & (notes.skin | ~below | near_chin)] = skin
    # A neck lies in shadow and has other colours than the cheeks.
    labels[(distance > SURE_OTHER) & below & ~near_chin] = clothing
    near_face = cv2.dilate(face, np.ones((round(0.3 * face_height),) * 2)) > 0
    if notes.headwear is not None:
        end = chin + notes.headwear * face_height
        other = distance > SURE_SKIN
        labels[other & (rows < end + SCARF_END * face_height)] = UNKNOWN
        labels[other & (rows < end)] = headwear
    else:
        # What is bare between brows and hair is a forehead, however it shines.
        bare = (rows < brows) & (beside < 0.03) & (rows > places[FACE_OVAL[0], 1] - BARE * face_height)
        labels[bare & (hair < 0.3 if notes.hair else True)] = skin
    if notes.hair:
        labels[hair > 0.5] = hair_index
    elif notes.headwear is not None:
        labels[(hair > 0.5) & near_face] = UNKNOWN
        labels[(hair > 0.5) & ~near_face & (rows < end)] = headwear
    # Small specks of one kind in another are shadows, jewels and patterns.
    labels = cv2.medianBlur(labels, 5)
    inner = cv2.erode(face, np.ones((15, 15))) > 0
    labels[inner & (hair < 0.5)] = skin
    labels[(alpha < 128) | ~crop.valid] = CLASSES.index("background")
    return labels


def _skin_distance(image: np.ndarray, face: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(H, W) Mahalanobis distance to the colours of the lower face."""
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 1), cv2.COLOR_RGB2LAB).astype(np.float32)
    cheeks = ndimage.binary_erosion(face, iterations=6)
    cheeks[: int(places[NOSE_ROOT, 1])] = False
    samples = lab[cheeks]
    centre = np.median(samples, 0)
    near = samples[np.abs(samples - centre).max(1) < 40]
    # Brightness changes with the light, from cheek to neck; hue hardly does.
    precision = np.linalg.inv(np.cov((near - centre).T) + np.diag([120, 12, 12]))
    offset = lab - centre
    return np.sqrt(np.einsum("hwi,ij,hwj->hw", offset, precision, offset))
