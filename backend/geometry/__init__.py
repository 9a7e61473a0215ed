"""Turns, orbits and similarities between spaces."""
