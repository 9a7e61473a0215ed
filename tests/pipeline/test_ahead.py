"""What is compiled ahead is all that is compiled, and is found by the processes that come later."""

import os
import subprocess
import sys

import pytest
import skimage.data
import skimage.io

REGISTERED = """
import sys
from numba.core.dispatcher import Dispatcher
from backend.pipeline import Pipeline

pipeline = Pipeline(device="cpu")
pipeline.warm_up()
with open(sys.argv[1], "rb") as photo:
    found = pipeline.register(photo.read(), "bust", "open_head", lambda *a: None)
pipeline.render_raw(found, [found.avatar.tracked.camera.crop(0, 0, 512, 96)], found.avatar.tracked.parameters)
for module in [module for name, module in sys.modules.items() if name.startswith("backend.")]:
    for thing in vars(module).values():
        if isinstance(thing, Dispatcher):
            for types in thing.stats.cache_misses:
                print("compiled", thing.__module__, thing.__name__, types)
print("done")
"""


@pytest.mark.slow
def test_nothing_is_compiled_later(tmp_path):
    skimage.io.imsave(tmp_path / "photo.png", skimage.data.astronaut(), check_contrast=False)
    variables = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    subprocess.run([sys.executable, "-m", "backend.commands", "compile"], env=variables, check=True)
    later = [sys.executable, "-c", REGISTERED, tmp_path / "photo.png"]
    run = subprocess.run(later, env=variables, capture_output=True, text=True)
    assert run.stdout == "done\n", run.stdout + run.stderr[-2000:]
