"""Photographed and generated heads from others' data sets: their layouts in, one aligned kind of subject out."""
