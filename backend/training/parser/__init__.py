"""Training of the portrait parser: weak labels of portraits, exact ones of synthetic people, and the run."""
