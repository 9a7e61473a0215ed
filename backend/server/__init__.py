"""The render backend's server: a ZeroMQ ROUTER that never computes, and a worker that does."""

from backend.server.server import Server

__all__ = ["Server"]
