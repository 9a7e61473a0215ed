"""Blender keeps one global state per process: what runs in it is a suite of its own, run by test_in_blender.py."""

import sys
from pathlib import Path

collect_ignore = ["inside"]
# The builder's modules are imported as its scripts import them.
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
