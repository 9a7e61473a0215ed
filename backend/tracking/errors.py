"""What tracking says when a photo cannot become an avatar."""

from __future__ import annotations


class TrackingError(Exception):
    """A photo that cannot be used.

    Attributes:
        code: stable and short: not_an_image, image_too_large, no_face, face_cut, face_too_small.
        sentence: what is wrong.
        hint: what to do about it.
    """

    def __init__(self, code: str, sentence: str, hint: str) -> None:
        super().__init__(f"{sentence} {hint}")
        self.code = code
        self.sentence = sentence
        self.hint = hint
