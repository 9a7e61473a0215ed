"""What operators tell of a task that failed."""

from backend.client import TurboPortraitError
from blender_addon.ui.reporting import report_failure


class Operator:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.said = []

    def report(self, kind, text) -> None:
        self.said.append((kind, text))


def test_a_failure_is_told_but_not_that_it_was_cancelled(addon):
    operator = Operator()
    assert report_failure(operator, TurboPortraitError("cancelled")) == {"CANCELLED"}
    assert operator.said == []
    assert report_failure(operator, TurboPortraitError("no_face_in_video", "clip.mp4")) == {"CANCELLED"}
    assert report_failure(operator, ValueError("The head 'Ada' is gone")) == {"CANCELLED"}
    assert [kind for kind, _ in operator.said] == [{"ERROR"}] * 2
    assert "clip.mp4" in operator.said[0][1]
