"""Gaussian mixtures per class, kept in buffers whose shapes the fit decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class FittedBuffers(nn.Module):
    """A module whose buffers are empty until it is fitted, and take the shapes of a state that is loaded."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name, buffer in self._buffers.items():
            stored = state_dict.get(prefix + name)
            if buffer is not None and stored is not None and stored.shape != buffer.shape:
                self._buffers[name] = buffer.new_empty(stored.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)


class ClassMixture(FittedBuffers):
    """A full-covariance Gaussian mixture for each class: K classes, M components, D dimensions.

    Buffers: `priors` (K,), `weights` (K, M), `means` (K, M, D), `cholesky` (K, M, D, D).
    """

    priors: Tensor
    weights: Tensor
    means: Tensor
    cholesky: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("priors", torch.empty(0))
        self.register_buffer("weights", torch.empty(0, 0))
        self.register_buffer("means", torch.empty(0, 0, 0))
        self.register_buffer("cholesky", torch.empty(0, 0, 0, 0))

    @property
    def classes(self) -> int:
        """How many classes it was fitted to; 0 before, 1 without labels."""
        return len(self.priors)

    def fit(
        self,
        vectors: Tensor,
        labels: Tensor | None,
        components: int,
        ridge: float = 1e-3,
        variances: Tensor | None = None,
    ) -> None:
        """Fit to vectors (n, D) by expectation maximisation; the same data give the same mixture.

        `ridge`, a share of the vectors' mean variance, is added to the covariances. `variances` (n, D) are those of
        distributions around the vectors: their weighted means are added to the covariances too.
        """
        device = self.priors.device
        labels = torch.zeros(len(vectors), dtype=torch.long) if labels is None else labels.cpu()
        count = int(labels.max()) + 1
        points = vectors.double().cpu().numpy()
        extra = np.zeros_like(points) if variances is None else variances.double().cpu().numpy()
        shift = ridge * float(points.var(0).mean()) + 1e-9
        fits = [_mixture(points[labels == k], extra[labels == k], components, shift) for k in range(count)]
        weights, means, covariances = (torch.from_numpy(np.stack(part)) for part in zip(*fits, strict=True))
        self.priors = (torch.bincount(labels, minlength=count) / len(labels)).float().to(device)
        self.weights, self.means = weights.float().to(device), means.float().to(device)
        # contiguous, as a stored one is: the layout decides the last bit of a product
        self.cholesky = torch.linalg.cholesky(covariances).float().contiguous().to(device)

    def draw(self, count: int, labels: Tensor | None = None) -> Tensor:
        """(count, D); `labels` (count,) ask for classes, which a mixture fitted without labels ignores."""
        if not self.classes:
            raise RuntimeError("the mixture was not fitted; call fit before sample")
        if self.classes == 1:
            labels = torch.zeros(count, dtype=torch.long, device=self.priors.device)
        elif labels is None:
            labels = torch.multinomial(self.priors, count, replacement=True)
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
            raise ValueError(
                f"labels from {int(labels.min())} to {int(labels.max())}; fitted to {self.classes} classes"
            )
        labels = labels.to(self.priors.device)
        component = torch.multinomial(self.weights[labels], 1).squeeze(1) if count else labels
        noise = torch.randn(count, self.means.shape[-1], device=self.priors.device)
        drawn = self.means[labels, component]
        for k, m in set(zip(labels.tolist(), component.tolist(), strict=True)):
            chosen = (labels == k) & (component == m)
            drawn[chosen] += noise[chosen] @ self.cholesky[k, m].T
        return drawn


def _mixture(points: np.ndarray, extra: np.ndarray, components: int, shift: float) -> tuple[np.ndarray, ...]:
    """Weights (M,), means (M, D) and covariances (M, D, D); components that the points do not fill have weight 0."""
    from sklearn.mixture import GaussianMixture

    dimensions = points.shape[1]
    used = min(components, len(points) // 2)
    if used == 0:  # at most one point: a ball of the ridge around it, or nothing to draw
        mean = points.mean(0) if len(points) else np.zeros(dimensions)
        weights, means, covariances = np.ones(1), mean[None], shift * np.eye(dimensions)[None]
    else:
        fitted = GaussianMixture(used, covariance_type="full", reg_covar=shift, max_iter=200, random_state=0).fit(
            points
        )
        weights, means, covariances = fitted.weights_, fitted.means_, fitted.covariances_
        share = fitted.predict_proba(points)
        added = share.T @ extra / (share.sum(0)[:, None] + 1e-12)
        covariances = covariances + added[:, :, None] * np.eye(dimensions)
    missing = components - len(weights)
    eye = np.broadcast_to(np.eye(dimensions), (missing, dimensions, dimensions))
    return (
        np.concatenate([weights, np.zeros(missing)]),
        np.concatenate([means, np.zeros((missing, dimensions))]),
        np.concatenate([covariances, eye]),
    )
