"""What a corpus of training pairs may differ in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PairOptions:
    """How pairs are made.

    Attributes:
        size: pixels of the square pictures.
        aligned: whether the true pictures are brought onto the fitted head, as training wants them. Else all but the
            portrait's stay as they are, only their cameras are brought over by the face, and `head` is head, hair and
            headwear without the neck, within the portrait's frame: to compare systems by.
        baked: the preset that the avatar's texture is baked with, as frames are refined from; empty: it is not, as the
            ring of views is that a bake begins from.
        true_head: whether the avatar is made of the true head, camera, matte and regions in place of those that
            tracking finds: how good it could be.
    """

    size: int = 256
    aligned: bool = True
    baked: str = ""
    true_head: bool = False
