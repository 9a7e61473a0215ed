"""The refiner's mathematics in torch: tensors in, tensors out. How it is loaded and run is not known here."""
