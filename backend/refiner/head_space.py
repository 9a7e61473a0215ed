"""Lengths on the resting head, from the middle between the eyes: where head and neck end, in numpy and torch alike."""

UNIT = 0.2
"""Metres that are 1 to the networks: about a head's width."""
CHIN, NECK = (-0.12, -0.08), (-0.18, -0.145)
"""Metres above the middle between the eyes, on the resting head: what lies below the first height is not changed, from
the second on all is. CHIN is for what lies beside the neck (shoulders, collars), NECK for the neck."""
BESIDE = (0.085, 0.12)
"""Metres from the head's middle plane: up to the first it is the neck, from the second on what is beside it."""
