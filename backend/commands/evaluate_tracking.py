"""`turboportrait evaluate tracking`: tracks photos and prints how well."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from backend.protocol.errors import TurboPortraitError

if TYPE_CHECKING:
    from backend.tracking.portrait import TrackedPortrait
    from flame import HeadModel

YAWS = (-20, 0, 20)


def tracking(
    photos: Annotated[list[Path], typer.Argument(help="Portrait photos.")],
    model: Annotated[Path | None, typer.Option(help="A FLAME-format head model; the open head by default.")] = None,
) -> None:
    """Track photos; print how well, and how well a tracker finds the result again from the sides."""
    from backend.photos import read_photo
    from backend.tracking import portrait
    from backend.tracking.embedding import with_landmarks
    from flame import load_head_model

    head_model = with_landmarks(load_head_model(model))
    for path in photos:
        try:
            photo = read_photo(path)
            portrait.track(photo, head_model)  # the first call loads the networks
            start = time.perf_counter()
            tracked = portrait.track(photo, head_model)
            seconds = time.perf_counter() - start
        except TurboPortraitError as error:
            print(f"{path.name}: {error.code}: {error}")
            continue
        rms = np.sqrt((tracked.residual[:468] ** 2).mean())
        print(
            f"{path.name}: {seconds:.2f} s, landmarks met to {rms:.2f} px rms", *(text for _, text in tracked.warnings)
        )
        _print_refound(tracked, head_model)


def _print_refound(portrait: TrackedPortrait, model: HeadModel) -> None:
    from backend.avatars.bust import make_bust
    from backend.tracking.refind import BACKGROUND, photo_on_mesh, refind_error, turned_camera

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
