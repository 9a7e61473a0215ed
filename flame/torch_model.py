"""The head model in torch: batched and differentiable."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flame.head_model import HeadModel


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rodrigues' formula: (..., 3) to (..., 3, 3), with correct first and second derivatives at zero too."""
    squared = (axis_angle**2).sum(-1)[..., None, None]
    small = squared < 1e-6
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    # Taylor series where the quotients lose their digits and their derivatives are undefined.
    sine = torch.where(small, 1 - squared / 6 + squared**2 / 120, angle.sin() / angle)
    cosine = torch.where(small, 0.5 - squared / 24 + squared**2 / 720, (1 - angle.cos()) / safe)
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    K = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    return torch.eye(3, dtype=K.dtype, device=K.device) + sine * K + cosine * (K @ K)


class TorchHeadModel(nn.Module):
    """`HeadModel` as a torch module; its arrays are buffers, so `.to` moves them.

    Args:
        model: the head model.
        dtype: of the buffers.
    """

    v_template: Tensor
    shapedirs: Tensor
    expressiondirs: Tensor
    posedirs: Tensor
    J_regressor: Tensor
    lbs_weights: Tensor
    faces: Tensor
    landmark_corners: Tensor
    landmark_barycentric: Tensor

    def __init__(self, model: HeadModel, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.parents = model.parents.tolist()
        for name in ("v_template", "shapedirs", "expressiondirs", "posedirs", "J_regressor", "lbs_weights"):
            self.register_buffer(name, torch.as_tensor(getattr(model, name), dtype=dtype))
        self.register_buffer("faces", torch.as_tensor(model.faces, dtype=torch.long))
        if model.landmarks is not None:
            corners = model.faces[model.landmarks.face_index]
            self.register_buffer("landmark_corners", torch.as_tensor(corners, dtype=torch.long))
            self.register_buffer("landmark_barycentric", torch.as_tensor(model.landmarks.barycentric, dtype=dtype))

    def forward(
        self,
        betas: Tensor | None = None,
        expression: Tensor | None = None,
        pose: Tensor | None = None,
        translation: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Shape, express and pose N heads (FLAME, equations 1 to 4).

        Args:
            betas: (N, B) or fewer columns.
            expression: (N, E) or fewer columns.
            pose: (N, 5, 3) axis-angle, radians.
            translation: (N, 3) metres.

        Returns:
            Vertices (N, V, 3) and joints (N, 5, 3), metres. What is None is zero; N is 1 if all are None.
        """
        batch = next((len(x) for x in (betas, expression, pose, translation) if x is not None), 1)
        rest = self.v_template.expand(batch, -1, -1)
        for basis, coefficients in ((self.shapedirs, betas), (self.expressiondirs, expression)):
            if coefficients is not None:
                rest = rest + torch.einsum("vck,nk->nvc", basis[:, :, : coefficients.shape[1]], coefficients)
        joints = self.J_regressor @ rest
        if pose is None:
            pose = rest.new_zeros(batch, 5, 3)
        rotations = axis_angle_to_matrix(pose)
        feature = (rotations[:, 1:] - torch.eye(3, dtype=rest.dtype, device=rest.device)).flatten(1)
        rest = rest + (feature @ self.posedirs).unflatten(1, (-1, 3))

        R, t = self._chain(joints, rotations)
        vertices = torch.einsum("vj,njab,nvb->nva", self.lbs_weights, R, rest) + self.lbs_weights @ t
        posed = torch.einsum("njab,njb->nja", R, joints) + t
        if translation is not None:
            vertices, posed = vertices + translation[:, None], posed + translation[:, None]
        return vertices, posed

    def _chain(self, joints: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """Each joint's transform x -> R x + t along the kinematic chain: (N, 5, 3, 3) and (N, 5, 3)."""
        chain: list[tuple[Tensor, Tensor]] = []
        for j, parent in enumerate(self.parents):
            R = rotations[:, j]
            t = joints[:, j] - (R @ joints[:, j, :, None])[..., 0]
            if parent >= 0:
                parent_R, parent_t = chain[parent]
                R, t = parent_R @ R, (parent_R @ t[..., None])[..., 0] + parent_t
            chain.append((R, t))
        return torch.stack([R for R, _ in chain], 1), torch.stack([t for _, t in chain], 1)

    def landmark_positions(self, vertices: Tensor) -> Tensor:
        """The landmarks (N, L, 3) of heads (N, V, 3)."""
        return torch.einsum("lk,nlkc->nlc", self.landmark_barycentric, vertices[:, self.landmark_corners])
