"""Measures of pictures that training and evaluation share: LPIPS, FLIP, SSIM, face recognisers, Inception."""
