"""The network: nearest points, planes, volume rendering, and that folding and chunking change nothing."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_gpavatar import TINY, head_cloud, tiny_network

from backend.avatars.gpavatar.folded import FoldedField
from backend.avatars.gpavatar.nearest import brute_force, culled_search
from backend.avatars.gpavatar.point_field import sample_planes
from backend.avatars.gpavatar.volume import (
    Rays,
    box_depths,
    coarse_depths,
    fine_depths,
    published_rays,
    ray_weights,
    render_rays,
)


def relative_error(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


def frontal_rays(size: int = TINY.render_size, views: int = 1) -> Rays:
    transforms = []
    for index in range(views):
        angle = 0.4 * index
        turn = torch.tensor([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])
        transforms.append(
            torch.cat([turn @ torch.diag(torch.tensor([-1.0, 1, -1])), torch.tensor([[0], [0], [11.0]])], 1)
        )
    return published_rays(torch.stack(transforms), size, 12.0)


@pytest.fixture(scope="module")
def network():
    return tiny_network()


@pytest.fixture(scope="module")
def planes():
    return torch.randn(3, TINY.channels, TINY.plane_size, TINY.plane_size, generator=torch.Generator().manual_seed(3))


class TestNearestPoints:
    @settings(max_examples=40, deadline=None)
    @given(st.integers(8, 700), st.integers(1, 300), st.integers(0, 10**6), st.sampled_from(["cloud", "flat", "tight"]))
    def test_culled_search_finds_what_brute_force_finds(self, count, queries, seed, shape):
        generator = torch.Generator().manual_seed(seed)
        points = torch.randn(count, 3, generator=generator)
        if shape == "flat":
            points[:, 1] = 0.25
        if shape == "tight":
            points = points * 1e-3 + 0.5
        samples = 3 * torch.randn(queries, 3, generator=generator)
        distances, index = culled_search(samples, points, 8)
        expected, _ = brute_force(samples[None], points[None], 8)
        torch.testing.assert_close(distances, expected[0], rtol=1e-5, atol=1e-9)
        torch.testing.assert_close((samples[:, None] - points[index]).square().sum(-1), distances, rtol=1e-4, atol=1e-9)
        assert (index.sort(-1).values.diff(dim=-1) > 0).all(), "a point was found twice"

    def test_a_sample_on_a_point_is_at_distance_zero(self):
        points = head_cloud()
        distances, index = culled_search(points, points, 8)
        assert (distances[:, 0] == 0).all()
        assert (index[:, 0] == torch.arange(len(points))).all()


class TestPlanes:
    def test_each_plane_is_read_along_its_axes(self):
        # A plane that holds its own row and column coordinates: (x, y), (x, z) and (z, y).
        size = 64
        steps = (torch.arange(size) + 0.5) / size * 2 - 1
        row, column = torch.meshgrid(steps, steps, indexing="ij")
        own = torch.stack([column, row])
        samples = torch.rand(1, 50, 3, generator=torch.Generator().manual_seed(1)) * 1.8 - 0.9
        x, y, z = samples[0].T
        for index, expected in enumerate(((x, y), (x, z), (z, y))):
            planes = torch.zeros(1, 3, 2, size, size)
            planes[0, index] = 3 * own
            torch.testing.assert_close(sample_planes(planes, samples)[0], torch.stack(expected, -1), atol=1e-5, rtol=0)


class TestVolume:
    def test_rays_enter_and_leave_the_box(self):
        rays = Rays(
            torch.tensor([[[0.0, 0, 5], [0, 0, 5], [0, 0, 0.5], [0, 0, -5]]]),
            torch.tensor([[[0.0, 0, -1], [0, 1, 0], [0, 0, -1], [0, 0, -1]]]),
        )
        enter, leave = box_depths(rays)
        torch.testing.assert_close(enter[0], torch.tensor([4.0, -1, 0, -1]))
        torch.testing.assert_close(leave[0], torch.tensor([6.0, -1, 1.5, -1]))

    @settings(max_examples=30, deadline=None)
    @given(st.floats(0.15, 0.9), st.integers(0, 1000))
    def test_a_ball_is_as_deep_as_geometry_says(self, radius, seed):
        rays = frontal_rays(24)
        generator = torch.Generator().manual_seed(seed)

        def ball(coordinates, directions):
            inside = (coordinates.norm(dim=-1, keepdim=True) < radius).float()
            return 0.999 * inside, torch.ones(*coordinates.shape[:2], 4)

        seen = render_rays(rays, ball, 32, 32, generator)
        closest = (rays.origins * rays.directions).sum(-1)
        distance = (rays.origins - closest[..., None] * rays.directions).norm(dim=-1)
        hit = distance < 0.8 * radius
        entry = -closest - (radius**2 - distance**2).clamp(min=0).sqrt()
        # The fine pass cannot know the surface better than the coarse strata that it samples between.
        assert ((seen.depth / seen.opacity)[..., 0] - entry)[hit].abs().max() < 0.1
        assert seen.opacity[..., 0][hit].min() > 0.99
        assert seen.opacity[..., 0][distance > 1.05 * radius].abs().max() == 0

    def test_fine_samples_go_where_the_weight_is(self):
        rays = frontal_rays(4)
        depths = coarse_depths(rays, 32)
        weights = torch.zeros_like(depths)
        weights[..., 20] = 1
        fine = fine_depths(depths, weights, 32)
        assert (fine.diff(dim=-1) >= 0).all()
        near = (fine - depths[..., 20:21]).abs() < 2.5 * (depths[..., 1:2] - depths[..., :1])
        assert near.float().mean() > 0.9

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
    def test_weights_are_shares(self, opacities):
        weights = ray_weights(torch.tensor(opacities, dtype=torch.float64))
        assert (weights >= 0).all()
        assert weights.sum() <= 1 + 1e-12
        assert weights.sum().item() == pytest.approx(1 - math.prod(1 - o for o in opacities))


class TestSameFunction:
    @pytest.mark.parametrize("chunk", [1, 7, 500, 10**6])
    def test_chunks_change_nothing(self, network, planes, chunk):
        rays = frontal_rays(4 if chunk == 1 else TINY.render_size)
        points = head_cloud()[None]
        whole = network.render_features(rays, points, planes[None])
        chunked = network.render_features(rays, points, planes[None], chunk=chunk)
        assert relative_error(chunked.features, whole.features) < 1e-5
        assert relative_error(chunked.depth, whole.depth) < 1e-5

    def test_normalising_a_chunk_for_itself_would_be_another_function(self, network, planes):
        # What the chunked form must not do, or the test above could not fail.
        rays, points = frontal_rays(), head_cloud()[None]
        whole = network.render_features(rays, points, planes[None])
        half = Rays(rays.origins[:, ::2], rays.directions[:, ::2])
        assert (
            relative_error(network.render_features(half, points, planes[None]).features, whole.features[:, ::2]) > 1e-3
        )

    @pytest.mark.parametrize("views", [1, 2, 5])
    def test_folding_changes_nothing(self, network, planes, views):
        rays, points = frontal_rays(views=views), head_cloud()
        folded = FoldedField(network.nerf_mlp).render(rays, points, planes, TINY.coarse_samples, TINY.fine_samples)
        direct = network.render_features(rays, points.expand(views, -1, -1), planes.expand(views, -1, -1, -1, -1))
        assert relative_error(folded.features, direct.features) < 1e-3
        assert relative_error(folded.opacity, direct.opacity) < 1e-4
        assert relative_error(folded.depth, direct.depth) < 1e-4

    def test_points_matter(self, network, planes):
        # Without this the folded form could drop the points altogether.
        rays, field = frontal_rays(), FoldedField(network.nerf_mlp)
        here, there = (
            field.render(rays, points, planes, TINY.coarse_samples, TINY.fine_samples).features
            for points in (head_cloud(), head_cloud() + 0.1)
        )
        assert relative_error(there, here) > 1e-2

    def test_views_do_not_depend_on_each_other(self, network, planes):
        rays, points, field = frontal_rays(views=3), head_cloud(), FoldedField(network.nerf_mlp)
        together = field.render(rays, points, planes, TINY.coarse_samples, TINY.fine_samples)
        alone = Rays(rays.origins[1:2], rays.directions[1:2])
        single = field.render(alone, points, planes, TINY.coarse_samples, TINY.fine_samples)
        torch.testing.assert_close(together.features[1:2], single.features)

    def test_half_precision_stays_near(self, planes):
        rays, points = frontal_rays(), head_cloud()
        exact = FoldedField(tiny_network().nerf_mlp).render(rays, points, planes, 12, 12)
        half = FoldedField(tiny_network().half().nerf_mlp).render(rays, points, planes.half(), 12, 12)
        assert relative_error(half.features, exact.features) < 2e-2

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
    def test_a_gpu_in_half_precision_stays_near(self, planes):
        rays, points = frontal_rays(), head_cloud()
        exact = FoldedField(tiny_network().nerf_mlp).render(rays, points, planes, 12, 12)
        rays = Rays(rays.origins.cuda(), rays.directions.cuda())
        half = FoldedField(tiny_network().cuda().half().nerf_mlp).render(
            rays, points.cuda(), planes.cuda().half(), 12, 12
        )
        assert relative_error(half.features.cpu(), exact.features) < 2e-2


class TestNetwork:
    def test_merging_does_not_depend_on_the_order(self, network):
        portraits = torch.rand(3, 3, TINY.portrait_size, TINY.portrait_size, generator=torch.Generator().manual_seed(2))
        planes = network.encode(portraits)
        merged = network.merge(planes)
        torch.testing.assert_close(network.merge(planes.flip(0)), merged)
        assert not torch.allclose(merged, planes[0], atol=1e-3)
        torch.testing.assert_close(network.merge(planes[:1]), planes[0])

    def test_everything_that_is_used_learns(self):
        network = tiny_network().requires_grad_(True).train()
        planes = network.merge(network.encode(torch.rand(2, 3, TINY.portrait_size, TINY.portrait_size)))
        seen = network.render_features(
            frontal_rays(), head_cloud()[None], planes[None], torch.Generator().manual_seed(0)
        )
        features = seen.features.transpose(1, 2).unflatten(-1, (TINY.render_size, TINY.render_size))
        (network.picture(features).square().mean() + seen.coarse.square().mean()).backward()
        idle = {name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()}
        unused = {name for name in idle if "toRGB" in name or name == "attn_module.scale"}
        # Constant shifts of all keys, and of the query's, do not move a softmax.
        assert idle - unused <= {"attn_module.to_k_.5.bias"}

    @pytest.mark.parametrize(
        ("portraits", "message"),
        [
            (torch.zeros(0, 3, 64, 64), "at least one"),
            ([], "at least one"),
            (torch.zeros(1, 3, 64, 32), "portrait 0 is"),
            ([torch.zeros(3, 64, 64), torch.zeros(3, 128, 128)], "portrait 1 is (.*)one size"),
            (torch.zeros(3, 64, 64), "portrait 0 is"),
            (torch.full((1, 3, 64, 64), float("nan")), "not finite"),
        ],
    )
    def test_bad_portraits_are_named(self, network, portraits, message):
        with pytest.raises(ValueError, match=message):
            network.encode(portraits)

    def test_bad_planes_are_named(self, network):
        planes = torch.zeros(1, 3, TINY.channels, TINY.plane_size, TINY.plane_size)
        planes[0, 1, 2, 3, 4] = float("inf")
        with pytest.raises(ValueError, match="tri-planes hold numbers that are not finite"):
            network.merge(planes)
        with pytest.raises(ValueError, match="at least 1"):
            network.merge(planes[:0])
