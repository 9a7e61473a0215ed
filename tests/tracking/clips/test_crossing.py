"""Several people in a clip: the one that is followed stays the one."""

import numpy as np
import pytest
from movies import RATE, leaning

from backend.tracking.clips.following import FaceFollower, middle
from backend.tracking.clips.tracks import ALIKE, LOOK, MOST_LOOKS, Track, look_of
from backend.tracking.landmarks import detect_faces

HEIGHT, WIDTH, SIDE = 240, 640, 200


@pytest.fixture(scope="module")
def people(astronaut, hopper):
    """Two heads of one size."""
    return [leaning(astronaut[:300, 80:380], [0], SIDE)[0], leaning(hopper[:420, 60:480], [0], SIDE)[0]]


@pytest.fixture(scope="module")
def offsets(people):
    """Pixels from each portrait's left edge to the middle of its face."""
    return [middle(FaceFollower().follow(person, 0).landmarks)[0] for person in people]


def played(people, lefts, front: int):
    """Pictures of the portraits, at left edges (frames, 2), one before the other."""
    for row in np.round(lefts).astype(int):
        picture = np.full((HEIGHT, WIDTH + 2 * SIDE, 3), 120, np.uint8)
        for who in (1 - front, front):
            x = int(np.clip(row[who], -SIDE, WIDTH)) + SIDE
            picture[20 : 20 + SIDE, x : x + SIDE] = people[who]
        yield picture[:, SIDE:-SIDE]


def followed(people, offsets, lefts, front: int, number: int) -> list[int | None]:
    """Who is followed in each frame."""
    follower, whom = FaceFollower(number), []
    for frame, picture in enumerate(played(people, lefts, front)):
        landmarks = follower.follow(np.ascontiguousarray(picture), frame / RATE).landmarks
        apart = None if landmarks is None else np.abs(lefts[frame] + offsets - middle(landmarks)[0])
        whom.append(None if apart is None or apart.min() > 40 else int(np.argmin(apart)))
    return whom


def crossing(speed: float) -> np.ndarray:
    frames = np.arange(int(440 / speed) + 6)
    moved = np.clip((frames - 3) * speed, 0, 440)
    return np.stack([moved, 440 - moved], 1)


@pytest.mark.parametrize("front", [0, 1])
@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("speed", [8, 16, 30])
def test_two_that_cross_are_not_exchanged(people, offsets, speed, who, front):
    lefts = crossing(speed)
    whom = followed(people, offsets, lefts, front, who + 1)
    apart = np.abs(lefts[:, 0] - lefts[:, 1]) > SIDE
    assert whom[0] == whom[-1] == who
    assert set(np.array(whom, object)[apart]) <= {who, None}
    assert np.mean([at == who for at in np.array(whom, object)[apart]]) > 0.75


def test_two_that_meet_and_turn_back_are_not_exchanged(people, offsets):
    there = crossing(16)[:17]
    whom = followed(people, offsets, np.r_[there, there[::-1]], front=1, number=1)
    assert whom[0] == whom[-1] == 0


def test_who_comes_in_when_the_face_has_left_is_not_taken_for_it(people, offsets):
    frames = np.arange(40)
    lefts = np.stack([100 - 20.0 * frames, np.maximum(640 - 20.0 * np.maximum(frames - 18, 0), 300)], 1)
    whom = followed(people, offsets, lefts, front=0, number=0)
    assert whom[0] == 0
    assert whom[-1] is None
    assert 1 not in whom


def test_nor_is_one_that_looks_much_like_it(people, offsets):
    """Half of all strangers' looks correlate by 0.5; this one is mixed so that it does by more."""
    astronaut, hopper = people
    newcomer = np.uint8(0.38 * astronaut + 0.62 * hopper.astype(float))
    looks = [look_of(face, detect_faces(face)[0]) for face in (hopper, newcomer)]
    assert 0.5 < looks[0] @ looks[1] < ALIKE
    frames = np.arange(40)
    lefts = np.stack([100 - 20.0 * frames, np.maximum(640 - 20.0 * np.maximum(frames - 18, 0), 300)], 1)
    whom = followed([hopper, newcomer], offsets[1], lefts, front=0, number=0)
    assert whom[0] == 0
    assert whom[-1] is None
    assert 1 not in whom


def test_a_track_keeps_the_looks_that_differ(people):
    (face,) = detect_faces(people[0])
    looks = list(np.eye(40, LOOK * LOOK * 3, dtype=np.float32))
    track = Track(face.centre, face.width, looks[:1], 0.0)
    for number, look in enumerate(looks):
        track.see(face, look, number / RATE)
        track.see(face, look, number / RATE)
    assert len(track.looks) == MOST_LOOKS
    assert track.likeness(looks[0]) == track.likeness(looks[-1]) == 1
    assert track.likeness(looks[1]) == 0, "the oldest go, but the first"


def test_the_face_that_comes_back_is_taken_again(people, offsets):
    frames = np.arange(44)
    away = np.maximum(200 - 20.0 * frames, -SIDE)
    away[24:] = np.minimum(-SIDE + 20.0 * np.arange(20), 150)
    lefts = np.stack([away, np.full(44, 420.0)], 1)
    whom = followed(people, offsets, lefts, front=0, number=1)
    assert whom[0] == whom[-1] == 0
    assert 1 not in whom
