"""Whether something is being moved: changes that follow each other are, until a pause longer than their rhythm.

Needs no Blender.
"""

from __future__ import annotations

import math
import weakref

MOVEMENT_SECONDS = 0.5
"""A change so soon after the last one is part of a movement."""
SHORTEST_REST, LONGEST_REST = 0.06, 0.5
RESTS_PER_INTERVAL = 1.5
"""At rest after so many times the interval of the last two changes without another: on a slow machine changes
come as slowly as redraws."""


class Motion:
    """The changes of one picture; seconds of one clock."""

    def __init__(self) -> None:
        self.changed_at = -math.inf
        self._rest = 0.0

    def change(self, now: float) -> None:
        """Something has changed."""
        interval = now - self.changed_at
        # The first change after a pause may be the only one: it is no movement yet.
        moving = interval < MOVEMENT_SECONDS
        self._rest = min(max(RESTS_PER_INTERVAL * interval, SHORTEST_REST), LONGEST_REST) if moving else 0.0
        self.changed_at = now

    def moving(self, now: float) -> bool:
        """More changes are to be expected."""
        return now - self.changed_at < self._rest


class SharedMotion:
    """The motions of all pictures: one user moves them all."""

    def __init__(self) -> None:
        self._motions: weakref.WeakSet[Motion] = weakref.WeakSet()

    def motion(self) -> Motion:
        """The motion of one more picture."""
        motion = Motion()
        self._motions.add(motion)
        return motion

    def moving(self, now: float) -> bool:
        """Some picture is in motion."""
        return any(motion.moving(now) for motion in self._motions)
