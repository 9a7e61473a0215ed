"""Read a pickle's opcodes into plain data. Nothing that a pickle names is imported, called or given a state.

A pickle is a program that may call any function with any arguments. Here its calls are only written down, as `Built`,
and only those of names that a caller allows; `flame.pickled_arrays` makes arrays of what is written down. Keys of
dictionaries are strings, sets become lists: nothing from the pickle is hashed but text, and nothing is compared.
"""

from __future__ import annotations

import codecs
import io
import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MAX_OPCODES = 300_000
"""FLAME's files have some hundreds; this many are read in half a second."""
_PROTOCOL = 5


class HeadPickleError(ValueError):
    """The pickle is damaged, or holds something that no head model needs."""


@dataclass(frozen=True)
class Name:
    """What a pickle calls by its name: a class or a function."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Built:
    """An object that the pickle wants to be made: by which name, of which arguments, with which state after that."""

    name: Name
    arguments: tuple
    state: Any = None


class _Mark:
    """Begins a group of entries on the stack."""


def read_pickle(content: bytes, allowed: Callable[[Name], bool]) -> Any:
    """What a pickle of any protocol (Python 2 or 3) describes.

    Args:
        content: the file.
        allowed: whether a name may occur.

    Returns:
        Numbers, text (Python 2's strings as latin-1), bytes, lists, tuples, dictionaries, `Name` and `Built`. They may
        contain each other in circles.

    Raises:
        HeadPickleError: it is no pickle, cut, damaged, too long, or has a name that is not allowed.
    """
    try:
        with warnings.catch_warnings():
            # Python warns of odd escapes in text.
            warnings.simplefilter("ignore", DeprecationWarning)
            return _Reader(content, allowed).read()
    except HeadPickleError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, EOFError, MemoryError) as error:
        raise HeadPickleError(f"it is no pickle, or damaged: {str(error)[:200]}") from error


_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}


class _Reader:
    """The machine that pickletools documents, with a stack and a memo."""

    def __init__(self, content: bytes, allowed: Callable[[Name], bool]) -> None:
        self._file = io.BytesIO(content)
        self._allowed = allowed
        self._stack: list = []
        self._memo: dict[int, Any] = {}

    def read(self) -> Any:
        for _ in range(MAX_OPCODES):
            opcode = _OPCODES.get(self._file.read(1).decode("latin-1"))
            if opcode is None:
                raise HeadPickleError("it is no pickle, or cut")
            argument = self._argument(opcode)
            if opcode.name == "STOP":
                return self._pop()
            self._do(opcode.name, argument)
        raise HeadPickleError(f"it has more than {MAX_OPCODES} steps, far more than any head model")

    def _argument(self, opcode: pickletools.OpcodeInfo) -> Any:
        if opcode.arg is None:
            return None
        if opcode.name == "STRING":
            # pickletools reads ASCII here, but Python 2 wrote the bytes of arrays.
            quoted = self._file.readline().rstrip(b"\n")
            return codecs.escape_decode(quoted[1:-1])[0].decode("latin-1")
        return opcode.arg.reader(self._file)

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        match name:
            case _ if name in _CONSTANTS:
                stack.append(argument)
            case "PROTO" if argument <= _PROTOCOL:
                pass
            case "FRAME":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "EMPTY_LIST" | "EMPTY_SET":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_DICT":
                stack.append({})
            case "MARK":
                stack.append(_Mark)
            case "LIST" | "FROZENSET":
                stack.append(self._group())
            case "TUPLE":
                stack.append(tuple(self._group()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._pop(int(name[-1]))))
            case "DICT":
                group = self._group()
                stack.append({})
                self._set(group)
            case "APPEND":
                self._extend(self._pop(1))
            case "APPENDS" | "ADDITEMS":
                self._extend(self._group())
            case "SETITEM":
                self._set(self._pop(2))
            case "SETITEMS":
                self._set(self._group())
            case "POP":
                stack.pop()
            case "POP_MARK":
                self._group()
            case "DUP":
                stack.append(stack[-1])
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "GLOBAL":
                stack.append(self._named(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                stack.append(self._named(*self._pop(2)))
            case "REDUCE" | "NEWOBJ":
                self._build(*self._pop(2))
            case "NEWOBJ_EX":
                kind, arguments, _ = self._pop(3)
                self._build(kind, arguments)
            case "OBJ":
                kind, *arguments = self._group()
                self._build(kind, tuple(arguments))
            case "INST":
                self._build(self._named(*argument.split(" ", 1)), tuple(self._group()))
            case "BUILD":
                (state,) = self._pop(1)
                if not isinstance(stack[-1], Built):
                    raise HeadPickleError("it gives a state to what is no object")
                stack[-1].state = state
            case _:
                raise HeadPickleError(f"it has the step {name}, which no FLAME file needs")

    def _pop(self, count: int = 0) -> Any:
        """The top entry; with a count, a list of so many."""
        popped = self._stack[-(count or 1) :]
        if len(popped) < (count or 1) or any(entry is _Mark for entry in popped):
            raise HeadPickleError("it is damaged: its stack is empty")
        del self._stack[-len(popped) :]
        return popped if count else popped[0]

    def _group(self) -> list:
        """All entries above the last mark, which goes, too."""
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at] is _Mark:
                group = self._stack[at + 1 :]
                del self._stack[at:]
                return group
        raise HeadPickleError("it is damaged: a group has no beginning")

    def _extend(self, items: list) -> None:
        if not isinstance(self._stack[-1], list):
            raise HeadPickleError("it appends to what is no list")
        self._stack[-1].extend(items)

    def _set(self, items: list) -> None:
        target, keys = self._stack[-1], items[::2]
        if not isinstance(target, dict) or len(items) % 2 or not all(isinstance(key, str) for key in keys):
            raise HeadPickleError("it has a dictionary whose keys are not text")
        target.update(zip(keys, items[1::2], strict=True))

    def _named(self, module: Any, name: Any) -> Name:
        if not isinstance(module, str) or not isinstance(name, str):
            raise HeadPickleError("it is damaged: a name is no text")
        found = Name(module, name)
        if not self._allowed(found):
            raise HeadPickleError(
                f"it asks for {str(found)[:100]}, which no FLAME file needs; it was not loaded. "
                "Use the file as published, or an .npz"
            )
        return found

    def _build(self, name: Any, arguments: Any) -> None:
        if not isinstance(name, Name) or not isinstance(arguments, tuple):
            raise HeadPickleError("it is damaged: it calls what has no name")
        self._stack.append(Built(name, arguments))


_CONSTANTS = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE", "BINUNICODE"}
    | {"SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"}
    | {"BINBYTES8", "BYTEARRAY8"}
)
