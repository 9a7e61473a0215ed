"""One table of errors, and everything that is raised is in it."""

import ast
from pathlib import Path

import pytest

from backend.protocol.errors import ERRORS, BackendLost, BackendUnreachable, TurboPortraitError, describe

ROOT = Path(__file__).parents[2]
_RAISED = ("TurboPortraitError", "TrackingError")


def raised_codes():
    for path in [*(ROOT / "backend").rglob("*.py"), *(ROOT / "blender_addon").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            raises = isinstance(node, ast.Call) and getattr(node.func, "id", "") in _RAISED
            if raises and node.args and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value, path.name


def test_every_code_that_is_raised_is_in_the_table():
    codes = set(raised_codes())
    assert codes
    assert {code for code, _ in codes} <= set(ERRORS), codes


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_is_a_sentence_and_a_hint(code):
    sentence, hint = ERRORS[code]
    for text in (sentence, hint):
        assert text[0].isupper()
        assert text.endswith(".")
    assert code.replace("_", "").isalpha()


def test_any_exception_can_be_shown():
    class Odd(Exception):
        code, sentence, hint = "no_face", "There is no face.", "Try another."

    assert describe(Odd()).sentence == "There is no face."
    assert describe(MemoryError()).code == "out_of_memory"
    shown = describe(KeyError("x" * 10_000))
    assert shown.code == "internal"
    assert len(shown.sentence) < 500
    original = TurboPortraitError("no_face", "in it")
    assert describe(original) is original
    assert "in it" in original.sentence


def test_losing_a_backend_is_an_error_of_its_own():
    assert BackendLost().code == "backend_lost"
    assert BackendUnreachable("tcp://x").code == "backend_unreachable"
    assert isinstance(BackendLost(), TurboPortraitError)
