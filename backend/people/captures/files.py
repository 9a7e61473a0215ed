"""Reading strangers' files: sizes are known before anything is read, and what is wrong is said in a sentence."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from backend.people.captures.subject import Unusable
from backend.photos.formats import DATA_FORMATS

MOST_JSON_BYTES = 256 * 2**20
MOST_PICTURE_BYTES = 64 * 2**20
MOST_PIXELS = 64 * 10**6


def read_json(path: Path) -> Any:
    """Raises Unusable."""
    try:
        if path.stat().st_size > MOST_JSON_BYTES:
            raise Unusable(f"{path.name} is larger than {MOST_JSON_BYTES >> 20} MiB")
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise Unusable(f"{path.name} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise Unusable(f"{path.name} cannot be read: {error}") from error


def matrix(values: Any, *shape: int, what: str) -> np.ndarray:
    """Numbers of a JSON file as a float64 array of exactly this shape.

    Raises:
        Unusable: they are not, or not all finite.
    """
    try:
        array = np.array(values, float)
    except (TypeError, ValueError) as error:
        raise Unusable(f"{what} is not a matrix of numbers") from error
    if array.shape != shape or not np.isfinite(array).all():
        raise Unusable(f"{what} has shape {array.shape} in place of {shape}, or holds what is no number")
    return array


def decode(data: bytes, name: str, labels: bool = False) -> np.ndarray:
    """A picture's bytes to (H, W, 3) uint8 sRGB; for a mask or a map of labels (H, W) uint8, its values as they are.

    Raises:
        Unusable: it is damaged, or has too many pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=DATA_FORMATS) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise Unusable(f"{name} has {picture.width} x {picture.height} pixels, too many")
                if not labels:
                    return np.asarray(picture.convert("RGB"))
                return np.asarray(picture if picture.mode in ("L", "P") else picture.convert("L"))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise Unusable(f"{name} is damaged: {error}") from error


def read_picture(path: Path, labels: bool = False) -> np.ndarray:
    """A picture file; see `decode`."""
    try:
        if path.stat().st_size > MOST_PICTURE_BYTES:
            raise Unusable(f"{path.name} is larger than {MOST_PICTURE_BYTES >> 20} MiB")
        return decode(path.read_bytes(), path.name, labels)
    except FileNotFoundError:
        raise Unusable(f"{path.name} is missing") from None
    except OSError as error:
        raise Unusable(f"{path.name} cannot be read: {error}") from error


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height without reading the pixels; raises Unusable."""
    try:
        with Image.open(path, formats=DATA_FORMATS) as picture:
            return picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unusable(f"{path.name} is damaged or missing: {error}") from error


def read_member(archive: Path, name: str) -> bytes:
    """A file inside a zip; raises Unusable."""
    try:
        with zipfile.ZipFile(archive) as file:
            if file.getinfo(name).file_size > MOST_PICTURE_BYTES:
                raise Unusable(f"{name} in {archive.name} is larger than {MOST_PICTURE_BYTES >> 20} MiB")
            return file.read(name)
    except KeyError:
        raise Unusable(f"{archive.name} has no {name}") from None
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise Unusable(f"{archive.name} is damaged or missing: {error}") from error


def video_facts(path: Path) -> tuple[int, int, int]:
    """Number of frames, width and height of a movie; raises Unusable."""
    capture = cv2.VideoCapture(str(path))
    try:
        frames, width, height = (
            int(capture.get(key))
            for key in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
    finally:
        capture.release()
    if min(frames, width, height) < 1 or width * height > MOST_PIXELS:
        raise Unusable(f"{path.name} is no movie that can be read")
    return frames, width, height


def read_frame(path: Path, frame: int) -> np.ndarray:
    """One frame of a movie, (H, W, 3) uint8; raises Unusable."""
    capture = cv2.VideoCapture(str(path))
    try:
        capture.set(cv2.CAP_PROP_POS_FRAMES, frame)
        found, picture = capture.read()
    finally:
        capture.release()
    if not found:
        raise Unusable(f"{path.name} has no frame {frame} that can be read")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
