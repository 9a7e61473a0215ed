"""A preset whose base model lies in the hub's cache is found without importing the hub's library."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("huggingface_hub", reason="the full backend has it")
ASK = """
import sys
from backend.pipeline.catalog import Catalog, _hub_cache
catalog = Catalog.default()
print([catalog.preset_ready(name) for name in catalog.presets] and "huggingface_hub" in sys.modules)
from huggingface_hub import constants
print(str(_hub_cache()) == constants.HF_HUB_CACHE)
"""


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"])
def test_the_cache_is_where_the_library_has_it(variable, tmp_path):
    kept = {k: v for k, v in os.environ.items() if k not in ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME")}
    run = subprocess.run(
        [sys.executable, "-c", ASK], env=kept | {variable: str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["False", "True"]
