"""MakeHuman's system assets (CC0) in their published layout: photographic skins, hair cards, brows, clothes.

They fit the base mesh that the open head is cut from. Nothing of them is part of this repository: docs/corpus.md says
where they are had.
"""
