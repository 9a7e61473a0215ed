"""A performance played by a portrait's avatar, as a movie with the sound of the video that it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from backend.commands.session import backend_client
from backend.commands.sound import Sound
from backend.photos.movie_files import h264_movie
from backend.protocol.messages import View
from backend.protocol.performance import Performance
from backend.protocol.pictures import bytes_over_grey
from backend.protocol.retargeting import conformed, parameters_of, retargeted
from flame import load_head_model


@dataclass(frozen=True)
class Film:
    """How a performance is filmed.

    Attributes:
        size: pixels along both sides, made even.
        still: the camera stands where the portrait's stood, and the person moves before it; otherwise it goes along
            with the person, of whom only the head turns.
        preset: of the refiner; empty for raw views.
        noise_level: how far the refiner may depart.
        maker: of the avatar.
        face: of several faces in the portrait, counted from 1 at the left; 0 for the largest.
    """

    size: int = 512
    still: bool = False
    preset: str = "compact"
    noise_level: float = 0.1
    maker: str = "bust"
    face: int = 0


def render_film(
    performance: Performance,
    gains: Mapping[str, float],
    photo: bytes,
    film: Film,
    output: Path,
    sound: Path | None,
    backend: tuple[str, Path | None],
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
) -> None:
    """Render a movie.

    Args:
        performance: as it was tracked.
        gains: see `retargeted`.
        photo: an image file's bytes.
        film: see there.
        output: of the movie (MP4).
        sound: the video whose sound goes with it; None for none.
        backend: address and folder of keys, see `backend_client`.
        progress: called with a fraction in [0, 1] and what is done.

    Raises:
        TurboPortraitError: what the backend says of the photo; cannot_write and the like.
    """
    performance = conformed(retargeted(performance, gains), Fraction(*performance.header.fps))
    with backend_client(*backend) as client:
        registered = client.register(
            photo,
            film.maker,
            "open_head",
            face=film.face,
            on_progress=lambda fraction, stage: progress(0.1 * fraction, stage),
        )
        names = load_head_model(None).expression_names
        poses = parameters_of(performance, names, registered.parameters, still=not film.still)
        side = film.size - film.size % 2
        camera = registered.camera.crop(0, 0, registered.camera.width, side)
        rate = Fraction(*performance.header.fps)
        with h264_movie(output, rate, side, side) as (movie, stream):
            carried = Sound(sound, movie, len(performance) / float(rate)) if sound else None
            for number, pose in enumerate(poses):
                done = client.render(
                    registered.avatar,
                    pose,
                    [View("film", camera)],
                    raw=not film.preset,
                    refined=bool(film.preset),
                    preset=film.preset or "compact",
                    noise_level=film.noise_level,
                )
                view = (done.refined if film.preset else done.raw)["film"]
                picture = av.VideoFrame.from_ndarray(bytes_over_grey(view.rgba), format="rgb24")
                picture.pts, picture.time_base = number, 1 / rate
                movie.mux(stream.encode(picture))
                if carried:
                    carried.carry((number + 1) / float(rate))
                progress(0.1 + 0.9 * (number + 1) / len(poses), "rendering")
            if carried:
                carried.finish()
