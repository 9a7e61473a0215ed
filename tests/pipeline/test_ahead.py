"""What is compiled ahead is all that is compiled."""

import subprocess
import sys

import pytest
import skimage.data
import skimage.io

COMPILED = """
import sys
from numba.core.dispatcher import Dispatcher
from backend.pipeline import Pipeline
from backend.pipeline.ahead import compile_all, functions

compile_all()
before = {id(f): len(f.signatures) for f, _ in functions()}
names = {id(f): f.__name__ for f, _ in functions()}
pipeline = Pipeline(device="cpu")
pipeline.warm_up()
with open(sys.argv[1], "rb") as photo:
    found = pipeline.register(photo.read(), "bust", "open_head", lambda *a: None)
pipeline.render_raw(found, [found.avatar.tracked.camera.crop(0, 0, 512, 96)], found.avatar.tracked.parameters)
for module in [module for name, module in sys.modules.items() if name.startswith("backend.")]:
    for thing in vars(module).values():
        if isinstance(thing, Dispatcher):
            names[id(thing)] = thing.__name__
            for types in thing.signatures[before.get(id(thing), 0):]:
                print("later", thing.__module__, thing.__name__, types)
print("done")
"""


@pytest.mark.slow
def test_nothing_is_compiled_later(tmp_path):
    skimage.io.imsave(tmp_path / "photo.png", skimage.data.astronaut(), check_contrast=False)
    run = subprocess.run([sys.executable, "-c", COMPILED, tmp_path / "photo.png"], capture_output=True, text=True)
    assert run.stdout == "done\n", run.stdout + run.stderr[-2000:]
