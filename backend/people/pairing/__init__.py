"""People of the synthetic corpus as training pairs: raw views of the registered portrait beside the true ones."""
