"""Rasterising, posing, orbits, similarities, squares in frames: each once."""
