"""A contact sheet of people's portraits, in the order of their seeds: nobody is chosen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from backend.people.synthesis.files import person_folder
from backend.photos.saving import save_picture

CELL, GAP = 192, 4


def save_sheet(folder: Path, seeds: Iterable[int], output: Path) -> None:
    """Save the portraits of the people that are there."""
    paths = [p for seed in seeds if (p := person_folder(folder, seed) / "portrait.png").is_file()]
    columns = max(1, math.ceil(math.sqrt(len(paths))))
    rows = max(1, math.ceil(len(paths) / columns))
    sheet = Image.new("RGB", (columns * (CELL + GAP) - GAP, rows * (CELL + GAP) - GAP), "white")
    for k, path in enumerate(paths):
        with Image.open(path, formats=["PNG"]) as portrait:
            place = (k % columns * (CELL + GAP), k // columns * (CELL + GAP))
            sheet.paste(portrait.resize((CELL, CELL), Image.Resampling.LANCZOS), place)
    save_picture(output, np.asarray(sheet))
