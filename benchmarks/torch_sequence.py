"""A recurrent VAE of tokens in idiomatic PyTorch."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.sequences import NUM_TOKENS


class SequenceVAE(nn.Module):
    """A VAE of sequences of one length with teacher forcing (Bowman et al., 2016).

    A bidirectional GRU encodes the tokens. The decoder is a GRU that sees the earlier tokens, with
    z beside each and as its initial state. The loss is distortion + beta rate, in nats per
    sequence.
    """

    def __init__(
        self,
        beta: float,
        num_tokens: int = NUM_TOKENS,
        embedding: int = 64,
        encoder_width: int = 256,
        decoder_width: int = 512,
        latent_dim: int = 32,
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(num_tokens, embedding)
        self.encoder = nn.GRU(embedding, encoder_width, bidirectional=True, batch_first=True)
        self.posterior = nn.Linear(2 * encoder_width, 2 * latent_dim)
        self.past = nn.Embedding(num_tokens + 1, embedding)  # and the start symbol
        self.initial = nn.Linear(latent_dim, decoder_width)
        self.decoder = nn.GRU(embedding + latent_dim, decoder_width, batch_first=True)
        self.logits = nn.Linear(decoder_width, num_tokens)
        self.beta, self.latent_dim, self.start = beta, latent_dim, num_tokens

    def forward(self, x: Tensor) -> Tensor:
        """The loss []."""
        return self.loss(x, torch.randn(len(x), self.latent_dim, device=x.device))

    def loss(self, x: Tensor, noise: Tensor) -> Tensor:
        """The loss [] of tokens x [N, L] with standard normal noise [N, D]."""
        _, final = self.encoder(self.tokens(x))
        h = final.transpose(0, 1).flatten(1)
        mean, logvar = self.posterior(h).float().chunk(2, dim=-1)
        z = mean + noise * torch.exp(0.5 * logvar)
        past = F.pad(x[:, :-1], (1, 0), value=self.start)
        inputs = torch.cat([self.past(past), z[:, None].expand(-1, x.shape[1], -1)], dim=-1)
        states, _ = self.decoder(inputs, torch.tanh(self.initial(z))[None])
        logits = self.logits(states).float()[..., 1:]  # padding has probability zero
        distortion = F.cross_entropy(logits.flatten(0, 1), x.flatten() - 1, reduction="sum")
        rate = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum()
        return (distortion + self.beta * rate) / len(x)
