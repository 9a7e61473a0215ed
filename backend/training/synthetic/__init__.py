"""Synthetic people over the head model: procedural looks, rendered on the CPU, seeded per identity."""
