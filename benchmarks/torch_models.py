"""The same models in idiomatic PyTorch: encoder and decoder of each network, and their VAE."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.torch_bounds import IWAE, VampVAE
from benchmarks.torch_sequence import SequenceVAE


def _down(cin: int, cout: int) -> list[nn.Module]:
    return [nn.Conv2d(cin, cout, 4, stride=2, padding=1), nn.ReLU()]


def _up(cin: int, cout: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(cin, cout, 4, stride=2, padding=1), nn.ReLU()]


def mlp(pixels: int = 784, hidden: int = 400, latent_dim: int = 20) -> tuple[nn.Module, nn.Module]:
    """MLPs for images [N, 1, 28, 28]: encoder to mean, log-variance [N, 2 D], decoder to logits."""
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent_dim)
    )
    side = round(pixels**0.5)
    decoder = nn.Sequential(
        nn.Linear(latent_dim, hidden),
        nn.ReLU(),
        nn.Linear(hidden, pixels),
        nn.Unflatten(1, (1, side, side)),
    )
    return encoder, decoder


def burgess(latent_dim: int = 10) -> tuple[nn.Module, nn.Module]:
    """Convolutions for 64x64 images (Burgess et al., 2018, arXiv:1804.03599).

    The widths are those of Locatello et al.
    """
    encoder = nn.Sequential(
        *(*_down(1, 32), *_down(32, 32), *_down(32, 64), *_down(64, 64)),
        *(nn.Flatten(), nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, 2 * latent_dim)),
    )
    decoder = nn.Sequential(
        *(
            nn.Linear(latent_dim, 256),
            nn.ReLU(),
            nn.Linear(256, 1024),
            nn.ReLU(),
            nn.Unflatten(1, (64, 4, 4)),
        ),
        *(*_up(64, 64), *_up(64, 32), *_up(32, 32), *_up(32, 1)[:1]),
    )
    return encoder, decoder


NETWORKS: dict[str, Callable[[], tuple[nn.Module, nn.Module]]] = {"mlp": mlp, "burgess": burgess}
CHANNELS_LAST = ("burgess", "vqvae")  # networks that are faster in this layout


class Bottleneck(nn.Module):
    """h + conv1x1(relu(conv3x3(relu(h))))."""

    def __init__(self, features: int, inner: int) -> None:
        super().__init__()
        convolutions = (
            nn.ReLU(),
            nn.Conv2d(features, inner, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(inner, features, 1),
        )
        self.block = nn.Sequential(*convolutions)

    def forward(self, h: Tensor) -> Tensor:
        """The same shape."""
        return h + self.block(h)


def vqvae(features: int = 128, inner: int = 32, code_dim: int = 64) -> tuple[nn.Module, nn.Module]:
    """Networks for images [N, 3, 32, 32] with vectors [N, d, 8, 8] (van den Oord et al., 2017)."""
    half = features // 2
    encoder = nn.Sequential(
        *(*_down(3, half), *_down(half, features), nn.Conv2d(features, features, 3, padding=1)),
        *(
            Bottleneck(features, inner),
            Bottleneck(features, inner),
            nn.ReLU(),
            nn.Conv2d(features, code_dim, 1),
        ),
    )
    decoder = nn.Sequential(
        *(
            nn.Conv2d(code_dim, features, 3, padding=1),
            Bottleneck(features, inner),
            Bottleneck(features, inner),
            nn.ReLU(),
        ),
        *(*_up(features, half), *_up(half, 3)[:1]),
    )
    return encoder, decoder


class VQVAE(nn.Module):
    """VQ-VAE with the loss distortion + beta |z_e - e|^2, in sums over dimensions, mean over batch.

    Each code is a moving average of the z_e assigned to it, updated in the forward pass.
    """

    def __init__(
        self,
        beta: float,
        num_codes: int = 512,
        code_dim: int = 64,
        sigma: float = 0.25,
        decay: float = 0.99,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = vqvae(code_dim=code_dim)
        self.beta, self.sigma, self.decay = beta, sigma, decay
        self.register_buffer("codebook", torch.randn(num_codes, code_dim) / code_dim**0.5)
        self.register_buffer("counts", torch.full((num_codes,), 1 / num_codes))
        self.register_buffer("sums", self.codebook / num_codes)

    def forward(self, x: Tensor) -> Tensor:
        """The loss []."""
        z_e = self.encoder(x).float()
        vectors = z_e.permute(0, 2, 3, 1).reshape(-1, z_e.shape[1])
        with torch.no_grad():
            codes = (self.codebook.square().sum(1) - 2 * vectors @ self.codebook.T).argmin(1)
            e = (
                F.embedding(codes, self.codebook)
                .view(*z_e.shape[:1], *z_e.shape[2:], -1)
                .permute(0, 3, 1, 2)
            )
        mean = self.decoder(z_e + (e - z_e).detach()).float()
        distortion = 0.5 * ((x - mean) / self.sigma).square().sum() + x.numel() * math.log(
            self.sigma * (2 * math.pi) ** 0.5
        )
        loss = (distortion + self.beta * (z_e - e).square().sum()) / x.shape[0]
        self.average(vectors.detach(), codes)
        return loss

    @torch.no_grad()
    def average(self, vectors: Tensor, codes: Tensor, epsilon: float = 1e-5) -> None:
        """Update the codebook with vectors [N, d] and the codes [N] assigned to them."""
        one_hot = F.one_hot(codes, len(self.counts)).float()
        self.counts.lerp_(one_hot.mean(0), 1 - self.decay)
        self.sums.lerp_(one_hot.T @ vectors / len(codes), 1 - self.decay)
        smoothed = (self.counts + epsilon * self.counts.mean()) / (1 + epsilon)
        self.codebook.copy_(self.sums / smoothed[:, None])


class VAE(nn.Module):
    """A VAE with the loss distortion + beta rate, in nats per example."""

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


class Residual(nn.Module):
    """h + f(h) with a 3x3 and a 1x1 convolution and the same number of channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.out = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 1)

    def forward(self, h: Tensor) -> Tensor:
        """The same shape, h [N, C, H, W]."""
        return h + self.out(F.relu(self.inner(F.relu(h))))


class Rung(nn.Module):
    """A stochastic layer of a ladder: returns the next state [N, C, H, W] and the summed KL []."""

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.from_state, self.from_features = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.prior, self.posterior = (
            nn.Conv2d(width, 2 * latent, 1),
            nn.Conv2d(width, 2 * latent, 1),
        )
        self.from_z, self.refine = nn.Conv2d(latent, width, 1), Residual(width)

    def forward(self, h: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """The state above and the features of x are both [N, C, H, W]."""
        active = F.relu(h)
        p_mean, p_logvar = self.prior(active).float().chunk(2, dim=1)
        hidden = F.relu(self.from_state(active) + self.from_features(F.relu(features)))
        mean, logvar = self.posterior(hidden).float().chunk(2, dim=1)
        p_logvar, logvar = p_logvar.clamp(-14, 8), logvar.clamp(-14, 8)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * logvar)
        difference = logvar - p_logvar
        kl = (
            0.5
            * (
                (mean - p_mean).square() * torch.exp(-p_logvar) + difference.exp() - 1 - difference
            ).sum()
        )
        return self.refine(h + self.from_z(z)), kl


class Ladder(nn.Module):
    """Two stochastic layers on 7x7 and 14x14 maps, for images [N, 1, 28, 28]."""

    def __init__(self, beta: float, width: int = 32, latent: int = 4) -> None:
        super().__init__()
        self.beta = beta
        self.stem, self.down = (
            nn.Conv2d(1, width, 4, stride=2, padding=1),
            nn.Conv2d(width, width, 4, stride=2, padding=1),
        )
        self.large, self.small = Residual(width), Residual(width)
        self.start = nn.Parameter(0.1 * torch.randn(1, width, 7, 7))
        self.top, self.bottom = Rung(width, latent), Rung(width, latent)
        self.place = nn.Parameter(0.1 * torch.randn(1, width, 14, 14))
        self.out = nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """The loss []."""
        large = self.large(self.stem(x))
        small = self.small(self.down(F.relu(large)))
        h, kl_top = self.top(self.start.expand(len(x), -1, -1, -1), small)
        h, kl_bottom = self.bottom(F.interpolate(h, scale_factor=2) + self.place, large)
        distortion = F.binary_cross_entropy_with_logits(
            self.out(F.relu(h)).float(), x, reduction="sum"
        )
        return (distortion + self.beta * (kl_top + kl_bottom)) / x.shape[0]


# Models that are not a VAE of two networks.
MODELS: dict[str, Callable[[float], nn.Module]] = {
    "ladder": Ladder,
    "vqvae": VQVAE,
    "vamp": VampVAE,
    "iwae": lambda beta: IWAE(),  # its bound has no weight of the rate
    "sequence": SequenceVAE,
}


def make(network: str, beta: float) -> nn.Module:
    """The model of that name: x [N, C, H, W] or tokens [N, L] -> loss []."""
    return MODELS[network](beta) if network in MODELS else VAE(network, beta)
