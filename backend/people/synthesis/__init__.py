"""The open synthetic corpus: people over the open head, drawn from a seed, photographed by Blender's Cycles.

Everything here is numpy and knows no Blender; `studio` is what runs inside Blender, in a process of its own.
"""
