"""What tracking says when a photo cannot become an avatar."""

from __future__ import annotations

from backend.protocol.errors import TurboPortraitError


class TrackingError(TurboPortraitError):
    """A photo that shows no face that can be used.

    Its code is no_face, face_hidden, no_such_face, face_cut or face_too_small.
    """

    def __init__(self, code: str, sentence: str, hint: str) -> None:
        super().__init__(code, sentence=sentence, hint=hint)
