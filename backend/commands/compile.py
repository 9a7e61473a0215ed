"""turboportrait compile: what the first portrait would else wait for."""

from __future__ import annotations

import typer


def compile_ahead() -> None:
    """Compile what the default way needs, once; the extension does this after unpacking the backend."""
    from backend.pipeline.ahead import compile_all

    compile_all(lambda done, count: typer.echo(f"compiling {done} of {count}"))
