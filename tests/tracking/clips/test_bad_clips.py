"""Videos as they come: HDR, a copy that was cut off."""

import av
import numpy as np
import pytest
from movies import leaning, write_movie

from backend.protocol.errors import TurboPortraitError
from backend.tracking.clips.frames import HDR, VideoFrames

SIDE, RATE = 200, 25


@pytest.fixture(scope="module")
def face(astronaut):
    return leaning(astronaut, [0], SIDE)[0]


def write_hdr(path, pictures, transfer: int):
    """Ten bits a colour, marked with a transfer function of ITU-T H.273."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p10le"
        stream.codec_context.color_trc = transfer
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("transfer", HDR)
def test_hdr_is_read_and_said(face, tmp_path, transfer):
    with VideoFrames(write_hdr(tmp_path / "hdr.mp4", [face] * 3, transfer)) as frames:
        pictures = [picture for _, picture in frames]
        assert any("HDR" in note and HDR[transfer] in note for note in frames.notes)
    assert len(pictures) == 3
    assert pictures[0].dtype == np.uint8
    assert np.abs(pictures[0].astype(int) - face).mean() < 12


def test_a_copy_that_was_cut_off_keeps_what_can_be_read(face, tmp_path):
    rng = np.random.default_rng(0)
    noisy = [np.clip(face + rng.normal(0, 25, face.shape), 0, 255).astype(np.uint8) for _ in range(40)]
    content = write_movie(tmp_path / "whole.mkv", noisy).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    with VideoFrames(tmp_path / "cut.mkv") as frames:
        count = sum(1 for _ in frames)
        assert 5 < count < 35
        assert any("cannot be read beyond" in note or "cut off" in note for note in frames.notes), frames.notes


def test_a_file_whose_index_was_cut_off_is_told(face, tmp_path):
    content = write_movie(tmp_path / "whole.mp4", [face] * 20).read_bytes()
    (tmp_path / "phone.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(TurboPortraitError, match=r"phone\.mp4") as error:
        VideoFrames(tmp_path / "phone.mp4")
    assert error.value.code == "bad_video"
