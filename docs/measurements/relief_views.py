"""Views by commit f8c66f2, the avatar before the bust, of tasks that `turboportrait data export-tasks` wrote.

In a checkout of that commit: python relief_views.py PEOPLE TASKS OUTPUT. PEOPLE is the folder of `data synthesize`,
whose portraits are registered; OUTPUT gets the folders `raw` and `refined` for `turboportrait evaluate tables --views`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from backend.avatars.relief import ReliefAvatar, register_relief
from backend.data.similarity import Similarity, fit_similarity
from backend.training.synthetic.pairs import reference_image
from PIL import Image

from backend.evaluation.subject import groups_of
from backend.evaluation.views import with_color
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.refiner import Refiner
from backend.tracking.embedding import with_landmarks
from flame import load_head_model
from flame.rotations import axis_angle_to_matrix, matrix_to_axis_angle

NECK = 1


def main(people: Path, tasks: Path, output: Path) -> None:
    """Render all tasks."""
    model, refiner = with_landmarks(load_head_model()), Refiner.from_preset("compact")
    for task in sorted(tasks.glob("identity_*")):
        told = json.loads((task / "cameras.json").read_text())
        seed = int(task.name.removeprefix("identity_"))
        avatar = register_relief((people / f"person_{seed:06d}" / "portrait.png").read_bytes(), model)
        # Its own fit decides where its face is: the cameras come over by the landmarks, whatever the sizes.
        placed = fit_similarity(np.array(told["landmarks"]), model.landmark_positions(avatar.tracked.vertices))
        raw = [avatar.render([camera(view, placed)], moved(view, told["portrait"], avatar, placed))[0]
               for view in told["views"]]  # fmt: skip
        size = told["portrait"]["width"]
        reference = refiner.encode_reference(reference_image(avatar, size), avatar.portrait_place(size))
        refined = [color for pair in groups_of(raw) for color in refiner.refine(pair, reference, seed=seed)]
        for view, rendered, color in zip(told["views"], raw, refined, strict=True):
            for kind, rgba in (("raw", rendered.rgba), ("refined", with_color(rendered.rgba, color))):
                folder = output / kind / task.name
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rgba).save(folder / f"{view['name']}.png")
        print(task.name, flush=True)


def camera(view: dict, placed: Similarity) -> Camera:
    """A task's camera over the relief's head space."""
    given = Camera.from_arrays(np.array(view["K"]), np.array(view["world_to_camera"]), view["width"], view["height"])
    return placed.camera(given)


def moved(view: dict, portrait: dict, avatar: ReliefAvatar, placed: Similarity) -> HeadParameters:
    """What the relief found in the portrait, changed as the task's head changes."""
    expression = np.array(view["expression"]) - portrait["expression"]
    found = avatar.tracked.parameters.expression
    expression[: len(found)] += found
    pose = np.array(view["pose"])
    turned = placed.rotation @ axis_angle_to_matrix(pose[NECK]) @ placed.rotation.T
    pose[NECK] = matrix_to_axis_angle(turned[None])[0]
    return HeadParameters.from_arrays(pose, expression)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
