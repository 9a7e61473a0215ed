"""The live preview: views that follow the hand, in camera images and in the Rendered viewport."""
