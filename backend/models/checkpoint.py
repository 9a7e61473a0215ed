"""Reading other people's checkpoints: tensors only; nothing in the file is ever run.

torch's own restricted unpickler builds the tensors. Lightning puts more beside them (hyper-parameters, the state of its
callbacks): names of kinds that are known to be harmless get an empty stand-in, so that nothing of theirs is imported or
called, and every other name is refused.
"""

from __future__ import annotations

import errno
import pickle
import re
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from backend.protocol.errors import TurboPortraitError

MAX_CHECKPOINT_BYTES = 8 << 30
MAX_PICKLE_BYTES = 64 << 20
MAX_TENSORS = 20_000
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_HARMLESS = re.compile(
    r"argparse\.Namespace|numpy\.(core|_core)\.multiarray\.(scalar|_reconstruct)|numpy\.(dtype|ndarray|dtypes\.\w+)"
    r"|pathlib\.(Pure)?(Posix|Windows)?Path|typing\.Any|collections\.(defaultdict|deque)|_codecs\.encode"
    r"|(omegaconf|pytorch_lightning|lightning|lightning_fabric|lightning_utilities|torch\.optim)\.[\w.]+"
)


class _Ignored:
    """Stands for an object of a kind that is not needed; keeps nothing."""

    def __new__(cls, *arguments: object, **keywords: object) -> _Ignored:
        return super().__new__(cls)

    def __init__(self, *arguments: object, **keywords: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The `state_dict` of a file that `torch.save` wrote; its tensors are mapped from the file, not yet read.

    Args:
        path: a file with a dictionary that has the key `state_dict` (Lightning's layout), or a plain state dictionary.

    Raises:
        TurboPortraitError: bad_weights: it is missing, cut, packed, no checkpoint at all, asks for code, or holds
            something else than dense floating-point tensors.
    """
    _check_container(path)
    unknown = _unsafe_names(path)
    refused = [name for name in unknown if not _HARMLESS.fullmatch(name)]
    if refused:
        raise _bad(
            path,
            f"it asks for {', '.join(refused[:3])}{' and more' if len(refused) > 3 else ''}, which no weights need; "
            "nothing of it was run. Where you trust it, save its state_dict alone with torch.save first",
        )
    try:
        with torch.serialization.safe_globals([(_Ignored, name) for name in unknown]):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise _bad(path, f"it holds more than weights: {_first_line(error)}") from error
    except Exception as error:  # whatever a hostile stream makes of the reader
        raise _bad(path, f"it is damaged: {_first_line(error)}") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state:
        raise _bad(path, "it has no state_dict")
    if len(state) > MAX_TENSORS:
        raise _bad(path, f"its state_dict has {len(state)} entries")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise _bad(path, f"its state_dict is not of tensors by name: {str(name)[:80]!r}")
    return state


def as_float32(path: Path, name: str, tensor: Tensor) -> Tensor:
    """A dense float32 copy of one tensor of a checkpoint.

    Raises:
        TurboPortraitError: bad_weights: it is no dense floating-point tensor, or has values that are not finite.
    """
    if tensor.layout != torch.strided or tensor.dtype not in _DTYPES or tensor.device.type != "cpu":
        raise _bad(path, f"{name} is not of dense floating-point values ({tensor.dtype}, {tensor.layout})")
    tensor = tensor.detach().to(torch.float32).contiguous()
    if not tensor.isfinite().all():
        raise _bad(path, f"{name} has values that are not finite")
    return tensor


def _check_container(path: Path) -> None:
    """torch.save's container is a zip whose members are all stored as they are, so that it unpacks to its own size."""
    try:
        if not path.is_file():
            raise FileNotFoundError(errno.ENOENT, "it is no file")
        size = path.stat().st_size
        with open(path, "rb") as file:
            start = file.read(512)
    except OSError as error:
        raise _bad(path, f"it cannot be read: {error.strerror}") from error
    if size > MAX_CHECKPOINT_BYTES:
        raise _bad(path, f"it has {size} bytes, more than any checkpoint that is known here")
    if start.lstrip()[:1] == b"<":
        raise _bad(path, "it is a web page: the address asked for a login or showed an error")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError) as error:
        cut = start[:2] == b"PK"
        what = "it is cut or damaged: download it again" if cut else "it is no file that torch.save writes since 1.6"
        raise _bad(path, what) from error
    if any(
        member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size for member in members
    ):
        raise _bad(path, "its content is packed, which torch.save never does")
    if len(members) > MAX_TENSORS or sum(member.file_size for member in members) > size:
        raise _bad(path, "its table of contents promises more than the file holds")
    pickled = [member for member in members if member.filename.endswith("data.pkl")]
    if len(pickled) != 1 or pickled[0].file_size > MAX_PICKLE_BYTES:
        raise _bad(path, "it is no file that torch.save writes")


def _unsafe_names(path: Path) -> list[str]:
    """Names in the pickle that torch does not build by itself; read from the opcodes alone."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception as error:  # whatever a hostile stream makes of the scanner
        raise _bad(path, f"it is damaged: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    text = str(error).removeprefix("Weights only load failed. ")
    blocked = re.search(r"WeightsUnpickler error: (.{1,200})", text)
    return blocked.group(1) if blocked else (text.splitlines() or [type(error).__name__])[0][:200]


def _bad(path: Path, what: str) -> TurboPortraitError:
    return TurboPortraitError("bad_weights", f"{path.name}: {what}")
