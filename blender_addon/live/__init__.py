"""The live preview: views that follow heads and cameras, in camera images and in the Rendered viewport."""
