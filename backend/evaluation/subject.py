"""A registered person to be looked at from several sides, raw and refined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.avatars.base import RenderedView
from backend.avatars.bust import BustAvatar, register_bust
from backend.evaluation.views import with_color
from backend.geometry.orbit import orbit
from backend.people.pairing.reference import reference_image
from backend.protocol.camera import Camera
from backend.protocol.pictures import over_grey
from backend.refiner import Refiner
from flame import HeadModel

PAIR = 2
"""V in use and in the paper."""


@dataclass(frozen=True)
class Subject:
    """A person.

    Attributes:
        avatar: registered from the person's portrait.
        reference: (S, S, 4) uint8, the portrait with its matte.
        seed: of the refiner's noise.
    """

    avatar: BustAvatar
    reference: np.ndarray
    seed: int = 0

    @classmethod
    def of_photo(cls, photo: bytes, model: HeadModel, size: int) -> Subject:
        """Registered from an image file, to be seen at size x size pixels.

        Raises:
            TrackingError: no face is found in the photo.
        """
        avatar = register_bust(photo, model)
        return cls(avatar, reference_image(avatar, size))

    def cameras(self, yaws: Sequence[float]) -> list[Camera]:
        """The portrait's camera turned about the head (degrees), at the reference's size."""
        tracked = self.avatar.tracked
        camera, center = tracked.camera, tracked.vertices.mean(0)
        return [orbit(camera, center, yaw, 0).crop(0, 0, camera.width, len(self.reference)) for yaw in yaws]

    def views(
        self, refiner: Refiner, cameras: Sequence[Camera], together: int = PAIR
    ) -> tuple[list[RenderedView], list[np.ndarray]]:
        """Raw views, and their refined colours (S, S, 3) uint8, so many neighbours refined together."""
        raw = self.avatar.render(cameras, self.avatar.tracked.parameters)
        state = refiner.encode_reference(self.reference, self.avatar.portrait_place(len(self.reference)))
        groups = groups_of(raw, together)
        return raw, [color for group in groups for color in refiner.refine(group, state, seed=self.seed)]


def groups_of(views: Sequence, size: int = PAIR) -> list[list]:
    """Views in the groups that are refined together."""
    return [list(views[i : i + size]) for i in range(0, len(views), size)]


def raw_and_refined(view: RenderedView, color: np.ndarray) -> dict[str, np.ndarray]:
    """Both pictures (S, S, 3) over grey, by their names in the tables."""
    return {"raw": over_grey(view.rgba), "refined": over_grey(with_color(view.rgba, color))}
