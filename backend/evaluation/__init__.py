"""Measurements: what a claim in the documents rests on."""
