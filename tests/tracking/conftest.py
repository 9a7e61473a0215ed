import matplotlib.cbook
import numpy as np
import pytest
import skimage.data
from image_files import encode
from PIL import Image

from backend.tracking import track
from flame import load_head_model


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()


@pytest.fixture(scope="session")
def hopper() -> np.ndarray:
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        return np.asarray(Image.open(file).convert("RGB"))


@pytest.fixture(scope="session")
def open_head():
    return load_head_model()


@pytest.fixture(scope="session")
def portraits(astronaut, hopper, open_head):
    """Both real portraits, tracked."""
    return {"astronaut": track(encode(astronaut), open_head), "hopper": track(encode(hopper), open_head)}
