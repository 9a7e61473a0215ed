"""`turboportrait demo`: one portrait in, an animated shot, a contact sheet and a report out."""

from backend.demo.command import app

__all__ = ["app"]
