"""The tasks: one row per model and batch size.

`network` is a name in `torch_models.NETWORKS` or `MODELS`, and in `contestants.bare.NETWORKS`; a
contestant without that name is skipped. Ours is built from its config, as in the training loop.
"""

import dataclasses
import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks import flops, images, layers, sequences


@dataclasses.dataclass(frozen=True)
class Task:
    """A model, its data and its batch size."""

    name: str
    title: str  # in the table
    batch_size: int
    network: str
    config: tuple[str, str]  # stem of the file in configs/, and the argument of its get_config
    examples: Callable[[int], np.ndarray]  # number -> uint8 [number, H, W, C], or [number, L]
    num_examples: int
    dynamic: bool  # x ~ Bernoulli(images / 255) at each reading; otherwise x = images / 255
    beta: float
    learning_rate: float
    layers: tuple[int, ...]  # multiply-adds per example of each layer, in order
    bare_steps: int = 100  # steps in one call of the hand-written scan
    # changes of the config: path -> value
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    num_tokens: int = 0  # ids of tokens [number, L]; 0: images

    @property
    def training_flops(self) -> int:
        """Floating-point operations of a training step, per example."""
        return flops.training(self.layers)

    def make_config(self) -> Any:
        """The project's config with this batch size, and too many steps for a schedule to end."""
        name, argument = self.config
        config = importlib.import_module(f"configs.{name}").get_config(argument)
        config.train.batch_size, config.train.num_steps = self.batch_size, 10_000_000
        for path, value in self.settings.items():
            group, field = path.split(".")
            setattr(getattr(config, group), field, value)
        return config


_on_digits = functools.partial(
    Task, examples=images.digits, num_examples=55_000, dynamic=True, beta=1.0
)


def _mlp(batch_size: int) -> Task:
    return _on_digits(
        name=f"mlp{batch_size}",
        title=f"VAE 784-400-20, batch {batch_size}",
        batch_size=batch_size,
        network="mlp",
        config=("vae", "mnist"),
        learning_rate=1e-3,
        layers=layers.MLP,
    )


CONV = Task(
    name="conv",
    title="beta-VAE 64x64 convolutions, batch 64",
    batch_size=64,
    network="burgess",
    config=("beta_vae", "burgess"),
    examples=images.sprites,
    num_examples=20_000,
    dynamic=False,
    beta=4.0,
    learning_rate=5e-4,
    layers=layers.BURGESS,
    bare_steps=2,
)

VQVAE = Task(
    name="vqvae",
    title="VQ-VAE 32x32x3, 8x8 of 512 codes, batch 32",
    batch_size=32,
    network="vqvae",
    config=("vq_vae", "sprites"),
    examples=images.colors,
    num_examples=20_000,
    dynamic=False,
    beta=0.25,  # weight of the commitment loss
    learning_rate=3e-4,
    layers=layers.VQ,
    settings={  # published widths; a codebook of moving averages, no revival, no prior training
        "model.channels": (32, 128),
        "model.likelihood": "gaussian",
        "model.init_sigma": 0.25,
        "codes.num_codes": 512,
        "codes.code_dim": 64,
        "codes.revive_below": 0.0,
        "codes.prior": "uniform",
        "codes.prior_steps": 0,
        "optimizer.learning_rate": 3e-4,
        "optimizer.schedule": "constant",
    },
)

LADDER = _on_digits(
    name="ladder",
    title="ladder VAE 28x28, maps of 7 and 14, batch 128",
    batch_size=128,
    network="ladder",
    config=("hierarchical_conv", "mnist"),
    learning_rate=1e-3,
    layers=layers.LADDER,
    settings={
        "hierarchy.stack": "7x1 14x1",
        "hierarchy.latents": (4,),
        "hierarchy.widths": (32,),
        "objective.beta_schedule": "constant",
        "objective.beta_steps": 0,
        "optimizer.schedule": "constant",
    },
)

VAMP = _on_digits(
    name="vamp",
    title="VampPrior 784-300-300-40, gated, 500 pseudo-inputs, batch 100",
    batch_size=100,
    network="vamp",
    config=("vamp_prior", "mnist"),
    learning_rate=5e-4,
    layers=layers.VAMP,
    settings={
        "model.hidden": (300, 300),
        "model.gated": True,
        "model.latent_dim": 40,
        "model.prior_components": 500,
        "optimizer.learning_rate": 5e-4,
        "optimizer.schedule": "constant",
    },
)

IWAE = _on_digits(
    name="iwae50",
    title="IWAE 784-200-200-50, k = 50, batch 20",
    batch_size=20,  # as in the paper
    network="iwae",
    config=("iwae", "mnist"),
    learning_rate=1e-3,
    layers=layers.IWAE,
    settings={
        "model.hidden": (200, 200),
        "model.activation": "tanh",
        "model.latent_dim": 50,
        "objective.num_samples": 50,
        "optimizer.schedule": "constant",
    },
)

SEQUENCE = Task(
    name="sequence",
    title="recurrent VAE of 48 tokens, GRUs of 256 and 512, batch 64",
    batch_size=64,
    network="sequence",
    config=("text_vae", "unicode_names"),
    examples=sequences.tokens,
    num_examples=20_000,
    dynamic=False,
    beta=1.0,
    learning_rate=1e-3,
    layers=layers.SEQUENCE,
    settings={  # teacher forcing: the decoder sees all earlier tokens
        "model.encoder_width": 256,
        "model.decoder_width": 512,
        "model.latent_dim": 32,
        "model.token_features": 64,
        "model.num_tokens": sequences.NUM_TOKENS,
        "objective.token_dropout": 0.0,
        "objective.beta_schedule": "constant",
        "optimizer.learning_rate": 1e-3,
        "optimizer.schedule": "constant",
        "train.log_every": 10,
    },
    num_tokens=sequences.NUM_TOKENS,
)

_ALL = (_mlp(128), _mlp(512), CONV, VQVAE, LADDER, VAMP, IWAE, SEQUENCE)
TASKS = {task.name: task for task in _ALL}
