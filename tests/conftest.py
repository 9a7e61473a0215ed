"""How tests are spread over processes (pytest-xdist): a file's run one after another, in one process."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TOGETHER = {"blender": "extension", "desktop": "extension"}
"""Folders whose tests use something that there is once, by its name: both build the extension in dist/."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        path = item.path.relative_to(TESTS)
        item.add_marker(pytest.mark.xdist_group(TOGETHER.get(path.parts[0], str(path))))
