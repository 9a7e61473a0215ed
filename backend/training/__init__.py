"""Training of the refiner: synthetic heads, registered as users' portraits are, raw views against true ones."""
