"""The same models in PyTorch, as its users write them: an encoder and a decoder for each network, and the VAE of the two."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _down(cin: int, cout: int) -> list[nn.Module]:
    return [nn.Conv2d(cin, cout, 4, stride=2, padding=1), nn.ReLU()]


def _up(cin: int, cout: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(cin, cout, 4, stride=2, padding=1), nn.ReLU()]


def mlp(pixels: int = 784, hidden: int = 400, latent_dim: int = 20) -> tuple[nn.Module, nn.Module]:
    """Encoder to mean and log-variance side by side [N, 2 D], and decoder to logits, of images [N, 1, 28, 28]."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent_dim))
    side = round(pixels**0.5)
    decoder = nn.Sequential(
        nn.Linear(latent_dim, hidden), nn.ReLU(), nn.Linear(hidden, pixels), nn.Unflatten(1, (1, side, side))
    )
    return encoder, decoder


def burgess(latent_dim: int = 10) -> tuple[nn.Module, nn.Module]:
    """The same two for the 64x64 convolutions of Burgess et al., 2018, arXiv:1804.03599, at the widths of Locatello et al."""
    encoder = nn.Sequential(
        *(*_down(1, 32), *_down(32, 32), *_down(32, 64), *_down(64, 64)),
        *(nn.Flatten(), nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, 2 * latent_dim)),
    )
    decoder = nn.Sequential(
        *(nn.Linear(latent_dim, 256), nn.ReLU(), nn.Linear(256, 1024), nn.ReLU(), nn.Unflatten(1, (64, 4, 4))),
        *(*_up(64, 64), *_up(64, 32), *_up(32, 32), *_up(32, 1)[:1]),
    )
    return encoder, decoder


NETWORKS: dict[str, Callable[[], tuple[nn.Module, nn.Module]]] = {"mlp": mlp, "burgess": burgess}
CHANNELS_LAST = ("burgess",)  # networks that are faster in this layout


class VAE(nn.Module):
    """Encoder, reparameterised draw, decoder; the loss is distortion + beta rate in nats per example."""

    def __init__(self, network: str, beta: float) -> None:
        super().__init__()
        self.encoder, self.decoder = NETWORKS[network]()
        self.beta = beta

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Distortion [] and rate [], summed over the batch, and logits like x [N, C, H, W]."""
        mean, logvar = self.encoder(x).chunk(2, dim=-1)
        logits = self.decoder(mean + torch.randn_like(mean) * torch.exp(0.5 * logvar))
        distortion = F.binary_cross_entropy_with_logits(logits.float(), x, reduction="sum")
        rate = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum()
        return distortion, rate, logits

    def forward(self, x: Tensor) -> Tensor:
        """The loss []."""
        distortion, rate, _ = self.terms(x)
        return (distortion + self.beta * rate) / x.shape[0]
