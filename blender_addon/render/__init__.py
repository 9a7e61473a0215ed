"""The render engine, and cards in other engines' renders."""
