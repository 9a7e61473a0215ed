"""Run by test_gpavatar_gpu.py in a process of its own: Triton decides at import whether its kernels are interpreted."""

from __future__ import annotations

import torch

from backend.avatars.gpavatar.nearest import brute_force
from backend.avatars.gpavatar.nearest_gpu import culled_search

device = "cuda" if torch.cuda.is_available() else "cpu"
for seed, (points_count, queries, spread) in enumerate(
    [(64, 1, 1.0), (100, 70, 1.0), (700, 200, 0.05), (513, 130, 5.0)]
):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(points_count, 3, generator=generator).to(device)
    # Along a line, as the samples of a ray are.
    samples = torch.linspace(-2, 2, queries, device=device)[:, None] * torch.tensor([[0.3, 1.0, -0.2]], device=device)
    samples = samples * spread + 0.05 * torch.randn(queries, 3, generator=generator).to(device)
    distances, index = culled_search(samples, points, 8)
    expected, _ = brute_force(samples[None], points[None], 8)
    torch.testing.assert_close(distances, expected[0], rtol=1e-5, atol=1e-9)
    torch.testing.assert_close((samples[:, None] - points[index]).square().sum(-1), distances, rtol=1e-4, atol=1e-9)
    assert (index.sort(-1).values.diff(dim=-1) > 0).all(), "a point was found twice"
print("exact")
