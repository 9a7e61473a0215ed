"""A name from outside names one file, on every system."""

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.protocol.names import MAX_NAME_BYTES, name_problem, safe_name


@pytest.mark.parametrize("name", ["shot_010", "Kamera 1", "ショット", "v1.2", "console", "com10", "nul_", ".hidden"])
def test_ordinary_names_stay(name):
    assert name_problem(name) == ""
    assert safe_name(name) == name


UNFIT = ["", " ", ".", "..", "a/b", "a\\b", "C:", "a\0b", "a\nb", "a\u2028b", "\ud800", " a", "a ", "a."]
DEVICES = ["CON", "nul.txt", "Com1", "LPT9.tar.gz", "aux .png", "COM²", "conin$"]
TOO_LONG = ["x" * (MAX_NAME_BYTES + 1), "é" * 101]


@pytest.mark.parametrize("name", [*UNFIT, *DEVICES, *TOO_LONG])
def test_what_no_system_or_not_every_system_takes_is_refused(name):
    assert name_problem(name)
    assert name_problem(safe_name(name)) == ""


@given(st.text() | st.text(st.characters(categories=["Cs", "Cc", "Zs"])) | st.text("./\\ .conCON1\0"))
@example("../" * 100)
@example("é" * 300)
@example("\u1680")
def test_a_safe_name_is_one_part_of_a_path(text):
    name = safe_name(text)
    assert name_problem(name) == ""
    assert safe_name(name) == name
    assert os.path.basename(os.path.normpath(os.path.join("folder", name))) == name
