"""Where published models are: one data file of addresses, checksums and licences."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urljoin

import msgspec

SOURCES_PATH = Path(__file__).with_name("sources.json")
_HUB = "https://huggingface.co/"


class Licence(msgspec.Struct, frozen=True):
    """What a model is used under: a name, its terms in a few sentences, where to read them."""

    name: str
    text: str
    links: list[str]


class RemoteFile(msgspec.Struct, frozen=True):
    """One file of a model.

    Attributes:
        path: where it goes in the model's folder.
        remote: its name at the source, where that differs.
        sha256, md5: hex; None where the publisher tells none: then the first download is trusted, and recorded.
        size: bytes, where known.
        max_bytes: never more than these are fetched.
    """

    path: str
    remote: str = ""
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    max_bytes: int = 16 << 20


class Source(msgspec.Struct, frozen=True):
    """One published model: its name for people, its page, and the files below a base address."""

    title: str
    page: str
    base: str
    licence: Licence
    files: list[RemoteFile]

    def address(self, file: RemoteFile) -> str:
        """Of one file; HF_ENDPOINT names a mirror of the Hugging Face hub, as in its own library."""
        base = self.base
        if (mirror := os.environ.get("HF_ENDPOINT")) and base.startswith(_HUB):
            base = mirror.rstrip("/") + "/" + base.removeprefix(_HUB)
        return urljoin(base, file.remote or file.path)

    @property
    def trusted_on_first_use(self) -> bool:
        """Whether the publisher's checksum of some file is not known here."""
        return any(not (file.sha256 or file.md5) for file in self.files)


def load_sources() -> dict[str, Source]:
    """Every published model that can be downloaded, by the name that `models add` takes."""
    return msgspec.json.decode(SOURCES_PATH.read_bytes(), type=dict[str, Source])
