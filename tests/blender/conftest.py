"""Blender keeps one global state per process: what runs in it is a suite of its own, run by test_in_blender.py."""

collect_ignore = ["inside"]
