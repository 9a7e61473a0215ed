"""Batches of shots: timeline markers to a pose file, and runs of `turboportrait batch`."""
