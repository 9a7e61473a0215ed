"""`python -m backend.training.landmark_response`: learns what the landmarks' network makes of a face that acts.

Avatars of portraits act by parameters that are known; what the landmarks do at each action is a linear regression, and
what is left tells which errors they have together. `backend.tracking.clips.response` has the file that comes of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track as with_bar

from backend.avatars.bust import make_bust
from backend.photos import read_photo
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import npz_bytes, write_file
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.pictures import bytes_over_grey
from backend.tracking import track
from backend.tracking.clips.actor import Actor, FrameFit
from backend.tracking.clips.response import FILE, Response
from backend.tracking.embedding import with_landmarks
from backend.tracking.landmarks import find_again, find_landmarks
from flame import HeadModel, load_head_model
from flame.rotations import axis_angle_to_matrix, matrix_to_axis_angle

SIZE = 400
"""Pixels of the pictures: faces are 160 high in them."""
PICTURES = 80
"""Per person; the first shows the face at rest."""
YAW, PITCH, ROLL, LOOK_ASIDE, LOOK_UP = np.radians((40, 18, 15, 22, 12))
MOST_ACTIONS = 4
OFTEN = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight", "browInnerUp", "mouthPucker")
"""Actions that people do all the time, each in a quarter of the pictures."""
PAIRS = (("eyeBlinkLeft", "eyeBlinkRight"), ("mouthSmileLeft", "mouthSmileRight"))
NOISE = 2.0
"""Of the pictures, levels of 255."""
ROUNDS = 2
RIDGE = 30.0
"""Pixels squared by which what is learnt is held to what the head model's own landmarks do."""
MODES, LEAST_FLOOR = 80, 0.7
"""How many errors are kept, and the least error in pixels that a landmark has by itself."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture: the person, what was found, and what it shows."""

    actor: Actor
    rest: FrameFit
    landmarks: np.ndarray
    head: np.ndarray
    expression: np.ndarray
    gaze: np.ndarray


def act(photo: bytes, model: HeadModel, rng: np.random.Generator, pictures: int = PICTURES) -> Iterator[Sample]:
    """Pictures of one person who acts at random.

    Raises:
        TrackingError: the photo shows no face.
    """
    tracked = track(photo, model)
    avatar = make_bust(tracked, model)
    camera = tracked.camera.crop(0, 0, tracked.camera.width, SIZE)
    actor = rest = None
    for number in range(pictures):
        head, expression, gaze = _parameters(model, rng) if number else (np.zeros(3), np.zeros(52), np.zeros(2))
        pose = np.zeros((5, 3))
        pose[1], pose[3:, :2] = head, gaze
        shown = bytes_over_grey(avatar.render([camera], HeadParameters.from_arrays(pose, expression))[0].rgba)
        picture = np.clip(shown + rng.normal(0, NOISE, shown.shape), 0, 255).astype(np.uint8)
        found = find_landmarks(picture)
        for _ in range(2):
            again = None if found is None else find_again(picture, found)
            found = None if again is None else again[0]
        if number == 0:
            if found is None:
                return
            actor = Actor(picture, found, model, response=Response.geometric(model))
            rest = actor.fit(found)
        if found is not None and actor is not None and rest is not None:
            yield Sample(actor, rest, found.astype(float), head, expression, gaze)


def learn(samples: list[Sample], model: HeadModel) -> Response:
    """The response of the landmarks to each action, and their errors.

    Args:
        samples: of many people.
        model: whose landmarks' own way is the start.
    """
    start = Response.geometric(model)
    fitted = Response.fitted(model)
    moves = np.stack([sample.expression[fitted] for sample in samples])
    basis = start.basis
    for _ in range(ROUNDS):
        projections, missed = _residuals(samples, moves, basis)
        # The regressors are a projection (2, 3) times the actions: so are their normal equations.
        projected = np.einsum("slij,slik->sljk", projections, projections)
        wanted = missed + np.einsum("slij,ljk,sk->sli", projections, basis, moves)
        squares = (moves[:, :, None] * moves[:, None]).reshape(len(moves), -1)
        gram = projected.reshape(len(moves), -1).T @ squares
        actions = moves.shape[1]
        gram = gram.reshape(-1, 3, 3, actions, actions).transpose(0, 1, 3, 2, 4).reshape(-1, 3 * actions, 3 * actions)
        target = np.einsum("slij,sli->slj", projections, wanted).reshape(len(moves), -1).T @ moves
        # Pixels per metre at a face of the usual size, squared.
        ridge = RIDGE * 1e6
        target = target.reshape(len(gram), -1) + ridge * start.basis.reshape(len(gram), -1)
        basis = np.linalg.solve(gram + ridge * np.eye(3 * actions), target[..., None]).reshape(start.basis.shape)
    _, missed = _residuals(samples, moves, basis)
    errors = missed.reshape(len(missed), -1)
    covariance = errors.T @ errors / len(errors)
    values, vectors = np.linalg.eigh(covariance)
    modes = vectors[:, ::-1][:, :MODES] * np.sqrt(np.maximum(values[::-1][:MODES], 0))
    left = np.maximum(np.diag(covariance) - (modes**2).sum(1), 0).reshape(-1, 2).mean(1)
    return Response(basis, modes, np.sqrt(left + LEAST_FLOOR**2))


def _residuals(samples: list[Sample], moves: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels per metre (S, 468, 2, 3), and by how much (S, 468, 2) pixels the landmarks are missed, best placed."""
    pairs = []
    for sample, move in zip(samples, moves, strict=True):
        rotation = sample.rest.rotation @ axis_angle_to_matrix(sample.head)
        pairs.append(sample.actor.place(sample.landmarks, rotation, sample.rest.translation, basis @ move))
    projections, missed = zip(*pairs, strict=True)
    return np.stack(projections), np.stack(missed)


def _parameters(model: HeadModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A random turn (3,) of the head, expression (E,) and gaze (2,)."""
    names = model.expression_names
    expression = np.zeros(len(names))
    actions = np.flatnonzero(Response.fitted(model))
    for action in rng.choice(actions, rng.integers(0, MOST_ACTIONS + 1), replace=False):
        expression[action] = rng.uniform()
    for name in OFTEN:
        if rng.uniform() < 0.25:
            expression[names.index(name)] = rng.uniform()
    for pair in PAIRS:
        if rng.uniform() < 0.25:
            expression[[names.index(name) for name in pair]] = rng.uniform()
    yaw, pitch, roll = rng.uniform(-1, 1, 3) * (YAW, PITCH, ROLL)
    about_x, about_y, about_z = axis_angle_to_matrix(np.diag([pitch, yaw, roll]))
    turn = about_y @ about_x @ about_z
    return matrix_to_axis_angle(turn), expression, rng.uniform(-1, 1, 2) * (LOOK_UP, LOOK_ASIDE)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m backend.training.landmark_response", description=__doc__)
    parser.add_argument("portraits", type=Path, nargs="+", help="photos of the people who act; not those of any table")
    parser.add_argument("--pictures", type=int, default=PICTURES, help="of each")
    parser.add_argument("--output", type=Path, default=FILE)
    options = parser.parse_args()
    model, rng = with_landmarks(load_head_model()), np.random.default_rng(0)
    samples: list[Sample] = []
    for path in with_bar(options.portraits, "people"):
        try:
            samples += act(read_photo(path), model, rng, options.pictures)
        except TurboPortraitError as error:
            print(f"{path.name}: {error}")
    response = learn(samples, model)
    write_file(options.output, npz_bytes(**response.arrays(model)))
    print(f"{len(samples)} pictures: {options.output}")


if __name__ == "__main__":
    main()
