"""Pictures of a head model: its first identity components and some of its expressions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from backend.photos.saving import save_picture
from backend.tracking.plain_head import look_at, painted, shaded_view
from flame import HeadModel

EXPRESSIONS = (
    "jawOpen", "mouthSmileLeft", "mouthPucker", "mouthFunnel", "cheekPuff", "eyeBlinkLeft", "eyeLookOutLeft",
    "browInnerUp", "browDownRight", "noseSneerLeft", "mouthFrownRight", "tongueOut",
)  # fmt: skip
NUM_COMPONENTS = 6
CELL, SUPERSAMPLE = 256, 2
DISTANCE = 1.6


def write_pictures(model: HeadModel, folder: Path) -> None:
    """Write open_head_identity.png and open_head_expressions.png."""
    colours = painted(model)
    colours[model.regions.get("tongue", [])] = (0.72, 0.32, 0.32)
    colours[model.regions.get("mouth_interior", [])] = (0.30, 0.12, 0.12)

    def view(centre_y: float, width: float, yaw: float = 0.0, **coefficients: np.ndarray) -> np.ndarray:
        size = CELL * SUPERSAMPLE
        camera = look_at(np.array([0, centre_y, 0]), yaw, 0.05, DISTANCE, size * DISTANCE / width, size)
        image, raster = shaded_view(model.rest_vertices(**coefficients), model.faces, colours, camera)
        image[~raster.covered] = 255
        return np.asarray(Image.fromarray(image).resize((CELL, CELL), Image.Resampling.BOX))

    unit = np.eye(model.num_shape)
    cells = [
        (f"{value:+d} sd of component {k}", view(-0.05, 0.42, yaw=np.radians(25), betas=value * unit[k]))
        for value in (-2, 2)
        for k in range(NUM_COMPONENTS)
    ]
    save_picture(folder / "open_head_identity.png", _sheet(cells, NUM_COMPONENTS))

    unit = np.eye(model.num_expression)
    cells = [
        (name, view(-0.03, 0.25, expression=unit[model.expression_names.index(name)]))
        for name in EXPRESSIONS
        if name in model.expression_names
    ]
    save_picture(folder / "open_head_expressions.png", _sheet(cells, 6))


def _sheet(cells: list[tuple[str, np.ndarray]], columns: int) -> np.ndarray:
    """Cells (caption, image) row by row."""
    rows = -(-len(cells) // columns)
    canvas = Image.new("RGB", (columns * CELL, rows * CELL), "white")
    draw = ImageDraw.Draw(canvas)
    for i, (caption, image) in enumerate(cells):
        corner = (i % columns * CELL, i // columns * CELL)
        canvas.paste(Image.fromarray(image), corner)
        draw.text((corner[0] + 6, corner[1] + 4), caption, fill="black")
    return np.asarray(canvas)
