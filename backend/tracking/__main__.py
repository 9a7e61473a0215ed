"""`python -m backend.tracking PHOTO...` tracks photos and prints how well."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from backend.avatars.bust import make_bust
from backend.photos import read_photo
from backend.protocol.errors import TurboPortraitError
from backend.tracking.embedding import with_landmarks
from backend.tracking.portrait import TrackedPortrait, track
from backend.tracking.refind import BACKGROUND, photo_on_mesh, refind_error, turned_camera
from flame import HeadModel, load_head_model

YAWS = (-20, 0, 20)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m backend.tracking", description=__doc__)
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")
    parser.add_argument("--model", type=Path, help="a FLAME-format head model; the open head by default")
    options = parser.parse_args()
    model = with_landmarks(load_head_model(options.model))
    for path in options.photos:
        try:
            photo = read_photo(path)
            track(photo, model)  # the first call loads the networks
            start = time.perf_counter()
            portrait = track(photo, model)
            seconds = time.perf_counter() - start
        except TurboPortraitError as error:
            print(f"{path.name}: {error.code}: {error}")
            continue
        rms = np.sqrt((portrait.residual[:468] ** 2).mean())
        print(
            f"{path.name}: {seconds:.2f} s, landmarks met to {rms:.2f} px rms", *(text for _, text in portrait.warnings)
        )
        _print_refound(portrait, model)


def _print_refound(portrait: TrackedPortrait, model: HeadModel) -> None:
    avatar = make_bust(portrait, model)
    for yaw in YAWS:
        camera = turned_camera(portrait, model, yaw)
        rgba = avatar.render([camera], portrait.parameters)[0].rgba
        alpha = rgba[..., 3:] / 255
        bust = (rgba[..., :3] * alpha + BACKGROUND * (1 - alpha)).astype(np.uint8)
        errors = [
            refind_error(portrait, model, camera, view) for view in (bust, photo_on_mesh(portrait, model, camera))
        ]
        text = ["no face" if e is None else f"{e:.2f} px" for e in errors]
        print(f"  yaw {yaw:+d}: landmarks found again to (median) {text[0]} on the bust, {text[1]} on the bare mesh")


if __name__ == "__main__":
    main()
