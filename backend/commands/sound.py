"""A video's sound, carried over to another movie."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


class Sound:
    """Brings the first sound of a video into a movie that is being written, as AAC; none where the video has none."""

    def __init__(self, source: Path, movie: av.container.OutputContainer, seconds: float) -> None:
        """Add the stream to the movie; before its first packet.

        Args:
            source: the video, whose first picture is the movie's.
            movie: opened for writing.
            seconds: the movie's length; sound beyond it is left out.
        """
        self._source = av.open(str(source), options={"protocol_whitelist": "file"})
        self._movie, self._seconds, self._written = movie, seconds, 0.0
        self._stream = None
        if not self._source.streams.audio:
            self._source.close()
            return
        sound, video = self._source.streams.audio[0], self._source.streams.video[0]
        begin = 0.0
        if video.start_time is not None and video.time_base is not None:
            begin = float(video.start_time * video.time_base)
        self._layout = "stereo" if sound.layout.nb_channels > 1 else "mono"
        self._stream = movie.add_stream("aac", rate=sound.rate, layout=self._layout)
        self._resampler = av.AudioResampler("fltp", self._layout, sound.rate)
        self._frames = self._resampled(sound, begin)

    def carry(self, until: float) -> None:
        """Write the sound up to a time of the movie, seconds."""
        while self._stream is not None and self._written < min(until, self._seconds):
            frame = next(self._frames, None)
            if frame is None:
                return
            self._written = (frame.time or 0.0) + frame.samples / frame.sample_rate
            self._movie.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what is left, and let go of the source."""
        if self._stream is not None:
            self.carry(self._seconds)
            self._movie.mux(self._stream.encode())
            self._source.close()

    def _resampled(self, sound: av.AudioStream, begin: float) -> Iterator[av.AudioFrame]:
        """Frames in order and without gaps, counted from the first picture."""
        samples, started = 0, False
        try:
            for frame in self._source.decode(sound):
                late = 0.0 if frame.time is None else frame.time - begin
                if not started and late + frame.samples / frame.sample_rate <= 0:
                    continue
                if not started and late > 0:
                    # Sound that begins after the first picture.
                    yield self._silence(sound, round(late * sound.rate))
                    samples += round(late * sound.rate)
                started = True
                frame.pts = None
                for part in self._resampler.resample(frame):
                    part.pts, part.time_base = samples, Fraction(1, sound.rate)
                    samples += part.samples
                    yield part
        except av.FFmpegError:
            # A damaged end: what came before it is kept, as the pictures are.
            return

    def _silence(self, sound: av.AudioStream, samples: int) -> av.AudioFrame:
        channels = 2 if self._layout == "stereo" else 1
        quiet = av.AudioFrame.from_ndarray(np.zeros((channels, samples), np.float32), "fltp", self._layout)
        quiet.sample_rate, quiet.pts, quiet.time_base = sound.rate, 0, Fraction(1, sound.rate)
        return quiet
