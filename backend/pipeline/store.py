"""The avatars that the backend holds; the one used least recently gives way when memory runs short."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backend.avatars.base import Avatar
from backend.protocol.errors import TurboPortraitError

SHARE_ONCE_BAKED = 0.4


@dataclass(eq=False)
class Registration:
    """An avatar and what belongs to it.

    Attributes:
        avatar: what renders.
        reference: (S, S, 4) uint8, the portrait's crop with its matte.
        head_model_checksum: of the file that it was made with.
        baked_by: the preset that baked its texture; empty for none.
        reference_states: preset -> what that refiner computed once from the reference.
    """

    avatar: Avatar
    reference: np.ndarray
    head_model_checksum: str
    baked_by: str = ""
    reference_states: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, avatar: Avatar, head_model_checksum: str, baked_by: str = "") -> Registration:
        """Of an avatar that was just made."""
        tracked = avatar.tracked
        matte = np.rint(np.clip(tracked.matte, 0, 1) * 255).astype(np.uint8)
        return cls(avatar, np.dstack([tracked.image, matte]), head_model_checksum, baked_by)

    def share_of_change(self, preset: str) -> float:
        """How much of what a preset changes is shown: its texture has the most of what the same preset baked into it,
        and twice refined is hazy between hair and skin."""
        return SHARE_ONCE_BAKED if preset == self.baked_by else 1.0

    @property
    def seed(self) -> int:
        """Of the refiner's noise: the avatar's own, so that the same request gives the same pixels."""
        return int(hashlib.sha256(self.avatar.id.encode()).hexdigest()[:8], 16) % 2**31


class AvatarStore:
    """Registrations by avatar id; every method may be called from any thread."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` bounds the arrays of all avatars together; the newest stays even if it alone has more."""
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[Registration, int]] = OrderedDict()

    def put(self, registration: Registration) -> None:
        """Add or replace."""
        size = memory_of(registration)
        with self._lock:
            self._entries[registration.avatar.id] = (registration, size)
            self._entries.move_to_end(registration.avatar.id)
            while len(self._entries) > 1 and self._bytes() > self._max_bytes:
                self._entries.popitem(last=False)

    def get(self, avatar_id: str) -> Registration:
        """Raises TurboPortraitError unknown_avatar."""
        with self._lock:
            if avatar_id not in self._entries:
                raise TurboPortraitError("unknown_avatar", avatar_id[:64])
            self._entries.move_to_end(avatar_id)
            return self._entries[avatar_id][0]

    def forget(self, avatar_id: str) -> None:
        """Drop one; raises TurboPortraitError unknown_avatar."""
        with self._lock:
            if self._entries.pop(avatar_id, None) is None:
                raise TurboPortraitError("unknown_avatar", avatar_id[:64])

    @property
    def ids(self) -> list[str]:
        """All ids, the least recently used first."""
        with self._lock:
            return list(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        with self._lock:
            return self._bytes()

    def _bytes(self) -> int:
        return sum(size for _, size in self._entries.values())


def memory_of(thing: Any) -> int:
    """Bytes of the arrays (numpy's, torch's) that an object holds, each counted once."""
    seen: set[int] = set()

    def visit(value: Any) -> int:
        if id(value) in seen:
            return 0
        seen.add(id(value))
        if isinstance(value, np.ndarray):
            return visit(value.base) if isinstance(value.base, np.ndarray) else value.nbytes
        if isinstance(getattr(value, "nbytes", None), int):
            return value.nbytes
        if isinstance(value, dict):
            return sum(map(visit, value.values()))
        if isinstance(value, list | tuple | set):
            return sum(map(visit, value))
        return sum(map(visit, vars(value).values())) if hasattr(value, "__dict__") and not callable(value) else 0

    return visit(thing)
