"""The VampPrior and the IWAE in idiomatic PyTorch, for images [N, 1, 28, 28]."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _dense(sizes: tuple[int, ...], activation: type[nn.Module], gates: int = 1) -> nn.Sequential:
    """Dense layers of these sizes, with an activation of `gates` inputs after all but the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, gates * outputs), activation()]
    return nn.Sequential(*layers, nn.Linear(*sizes[-2:]))


class VampVAE(nn.Module):
    """A VAE of gated dense layers with a VampPrior (Tomczak and Welling, 2018, arXiv:1705.07120).

    The loss is distortion + beta rate, with the rate of one draw, in nats per example.
    """

    def __init__(
        self,
        beta: float,
        pixels: int = 784,
        hidden: int = 300,
        latent_dim: int = 40,
        num_components: int = 500,
    ) -> None:
        super().__init__()
        self.encoder = _dense((pixels, hidden, hidden, 2 * latent_dim), nn.GLU, gates=2)
        self.decoder = _dense((latent_dim, hidden, hidden, pixels), nn.GLU, gates=2)
        self.pseudo_inputs = nn.Parameter(torch.randn(num_components, pixels))
        self.beta, self.latent_dim = beta, latent_dim

    def forward(self, x: Tensor) -> Tensor:
        """The loss []."""
        return self.loss(x, torch.randn(len(x), self.latent_dim, device=x.device))

    def loss(self, x: Tensor, noise: Tensor) -> Tensor:
        """The loss [] with standard normal noise [N, D]."""
        x = x.flatten(1)
        mean, logvar = self.encoder(x).float().chunk(2, dim=-1)
        z = mean + noise * torch.exp(0.5 * logvar)
        logits = self.decoder(z).float()
        distortion = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        log_q = -0.5 * (noise.square() + logvar).sum()  # without the constant of both densities
        return (distortion + self.beta * (log_q - self.log_prior(z).sum())) / len(x)

    def log_prior(self, z: Tensor) -> Tensor:
        """Log p(z) [N] + D/2 log 2 pi of z [N, D]."""
        mean, logvar = self.encoder(torch.sigmoid(self.pseudo_inputs)).float().chunk(2, dim=-1)
        squares = ((z[:, None] - mean).square() * torch.exp(-logvar)).sum(-1)
        return torch.logsumexp(-0.5 * (squares + logvar.sum(-1)), dim=1) - math.log(len(mean))


class IWAE(nn.Module):
    """The importance-weighted autoencoder (Burda et al., 2016, arXiv:1509.00519).

    The loss is -log 1/K sum_k w_k in nats per example.
    """

    def __init__(
        self, pixels: int = 784, hidden: int = 200, latent_dim: int = 50, num_samples: int = 50
    ) -> None:
        super().__init__()
        self.encoder = _dense((pixels, hidden, hidden, 2 * latent_dim), nn.Tanh)
        self.decoder = _dense((latent_dim, hidden, hidden, pixels), nn.Tanh)
        self.latent_dim, self.num_samples = latent_dim, num_samples

    def forward(self, x: Tensor) -> Tensor:
        """The loss []."""
        shape = (self.num_samples, len(x), self.latent_dim)
        return self.loss(x, torch.randn(shape, device=x.device))

    def loss(self, x: Tensor, noise: Tensor) -> Tensor:
        """The loss [] with standard normal noise [K, N, D]."""
        x = x.flatten(1)
        mean, logvar = self.encoder(x).float().chunk(2, dim=-1)
        z = mean + noise * torch.exp(0.5 * logvar)
        logits = self.decoder(z).float()
        distortion = F.binary_cross_entropy_with_logits(
            logits, x.expand_as(logits), reduction="none"
        ).sum(-1)
        rate = 0.5 * (z.square() - noise.square() - logvar).sum(-1)
        return (math.log(len(noise)) - torch.logsumexp(-distortion - rate, dim=0)).mean()
