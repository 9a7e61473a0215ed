"""Avatars are kept while there is memory for them."""

import numpy as np
import pytest
from little_head import LittleHead

from backend.pipeline.store import AvatarStore, Registration, memory_of
from backend.protocol.errors import TurboPortraitError


def registration(name, kilobytes=100):
    head = LittleHead(name, np.zeros((4, 4, 3), np.uint8))
    return Registration(head, np.zeros((kilobytes, 256, 4), np.uint8), "checksum")


def test_the_one_used_least_recently_gives_way():
    room = 3 * memory_of(registration("size")) + 1000
    store = AvatarStore(room)
    for name in "abc":
        store.put(registration(name))
    store.get("a")
    store.put(registration("d"))
    assert store.ids == ["c", "a", "d"]
    assert store.nbytes <= room
    with pytest.raises(TurboPortraitError) as error:
        store.get("b")
    assert error.value.code == "unknown_avatar"


def test_the_newest_stays_even_if_it_is_too_large():
    store = AvatarStore(10)
    store.put(registration("a"))
    store.put(registration("b"))
    assert store.ids == ["b"]


def test_memory_is_counted_once_and_through_views():
    array = np.zeros(1000, np.float32)
    assert memory_of({"a": array, "b": [array, array[10:20]]}) == 4000
    assert memory_of(array.reshape(10, 100)) == 4000


def test_forgetting_an_unknown_avatar_is_an_error():
    with pytest.raises(TurboPortraitError) as error:
        AvatarStore(10).forget("nobody")
    assert error.value.code == "unknown_avatar"
