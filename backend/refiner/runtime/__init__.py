"""Refining in use, whatever runs the networks: pictures in, pictures out. Only `static_runner` knows torch."""
