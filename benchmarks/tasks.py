"""The tasks: one row per model and batch size.

`network` is a name in `torch_models.NETWORKS` and `contestants.bare.NETWORKS`; a contestant without
that name is skipped. Ours is built from its config, as in the training loop.
"""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import flops, images


@dataclasses.dataclass(frozen=True)
class Task:
    """A model, its data and its batch size."""

    name: str
    title: str  # in the table
    batch_size: int
    network: str
    config: tuple[str, str]  # stem of the file in configs/, and the argument of its get_config
    images: Callable[[int], np.ndarray]  # number -> uint8 [number, H, W, C]
    num_images: int
    dynamic: bool  # x ~ Bernoulli(images / 255) at each reading; otherwise x = images / 255
    beta: float
    learning_rate: float
    layers: tuple[int, ...]  # multiply-adds per example of each layer, in order
    bare_steps: int = 100  # steps in one call of the hand-written scan
    settings: tuple[tuple[str, Any], ...] = ()  # changes of the config: path and value

    @property
    def training_flops(self) -> int:
        """Floating-point operations of a training step, per image."""
        return flops.training(self.layers)

    def make_config(self) -> Any:
        """The project's config with this batch size, and too many steps for a schedule to end."""
        name, argument = self.config
        config = importlib.import_module(f"configs.{name}").get_config(argument)
        config.train.batch_size, config.train.num_steps = self.batch_size, 10_000_000
        for path, value in self.settings:
            group, field = path.split(".")
            setattr(getattr(config, group), field, value)
        return config


MLP_LAYERS = (
    flops.dense(784, 400),
    flops.dense(400, 2 * 20),
    flops.dense(20, 400),
    flops.dense(400, 784),
)
BURGESS_LAYERS = (
    *(flops.conv(64, 1, 32), flops.conv(32, 32, 32), flops.conv(16, 32, 64), flops.conv(8, 64, 64)),
    *(
        flops.dense(1024, 256),
        flops.dense(256, 2 * 10),
        flops.dense(10, 256),
        flops.dense(256, 1024),
    ),
    *(flops.conv(8, 64, 64), flops.conv(16, 64, 32), flops.conv(32, 32, 32), flops.conv(64, 32, 1)),
)
# The 1x1 convolutions of a stochastic layer, besides its block.
LADDER_LINEAR = ((32, 32), (32, 32), (32, 2 * 4), (32, 2 * 4), (4, 32))
LADDER_LAYERS = (
    *(flops.conv(28, 1, 32), flops.conv(14, 32, 32)),  # down to 14 and 7 pixels a side
    *(
        flops.conv(size, 32, 32, kernel=kernel, stride=1)
        for size in (14, 7)
        for kernel in (3, 1)
        for _ in range(2)
    ),
    *(
        flops.conv(size, cin, cout, kernel=1, stride=1)
        for size in (14, 7)
        for cin, cout in LADDER_LINEAR
    ),
    flops.conv(28, 32, 1),
)


def _mlp(batch_size: int) -> Task:
    return Task(
        name=f"mlp{batch_size}",
        title=f"VAE 784-400-20, batch {batch_size}",
        batch_size=batch_size,
        network="mlp",
        config=("vae", "mnist"),
        images=images.digits,
        num_images=55_000,
        dynamic=True,
        beta=1.0,
        learning_rate=1e-3,
        layers=MLP_LAYERS,
    )


CONV = Task(
    name="conv",
    title="beta-VAE 64x64 convolutions, batch 64",
    batch_size=64,
    network="burgess",
    config=("beta_vae", "burgess"),
    images=images.sprites,
    num_images=20_000,
    dynamic=False,
    beta=4.0,
    learning_rate=5e-4,
    layers=BURGESS_LAYERS,
    bare_steps=2,
)

_BLOCKS = 2 * (
    flops.conv(8, 128, 32, kernel=3, stride=1),
    flops.conv(8, 32, 128, kernel=1, stride=1),
)
VQ_LAYERS = (  # without the code lookup, a product with no backward pass and 1 % of the work
    *(
        flops.conv(32, 3, 64),
        flops.conv(16, 64, 128),
        flops.conv(8, 128, 128, kernel=3, stride=1),
        *_BLOCKS,
    ),
    *(
        flops.conv(8, 128, 64, kernel=1, stride=1),
        flops.conv(8, 64, 128, kernel=3, stride=1),
        *_BLOCKS,
    ),
    *(flops.conv(16, 128, 64), flops.conv(32, 64, 3)),
)
VQVAE = Task(
    name="vqvae",
    title="VQ-VAE 32x32x3, 8x8 of 512 codes, batch 32",
    batch_size=32,
    network="vqvae",
    config=("vq_vae", "sprites"),
    images=images.colors,
    num_images=20_000,
    dynamic=False,
    beta=0.25,  # weight of the commitment loss
    learning_rate=3e-4,
    layers=VQ_LAYERS,
    settings=(  # published widths; a codebook of moving averages, no revival, no prior training
        *(
            ("model.channels", (32, 128)),
            ("model.likelihood", "gaussian"),
            ("model.init_sigma", 0.25),
        ),
        *(("codes.num_codes", 512), ("codes.code_dim", 64), ("codes.revive_below", 0.0)),
        *(("codes.prior", "uniform"), ("codes.prior_steps", 0)),
        *(("optimizer.learning_rate", 3e-4), ("optimizer.schedule", "constant")),
    ),
)

LADDER = Task(
    name="ladder",
    title="ladder VAE 28x28, maps of 7 and 14, batch 128",
    batch_size=128,
    network="ladder",
    config=("hierarchical_conv", "mnist"),
    images=images.digits,
    num_images=55_000,
    dynamic=True,
    beta=1.0,
    learning_rate=1e-3,
    layers=LADDER_LAYERS,
    settings=(
        *(
            ("hierarchy.stack", "7x1 14x1"),
            ("hierarchy.latents", (4,)),
            ("hierarchy.widths", (32,)),
        ),
        *(
            ("objective.beta_schedule", "constant"),
            ("objective.beta_steps", 0),
            ("optimizer.schedule", "constant"),
        ),
    ),
)

TASKS = {task.name: task for task in (_mlp(128), _mlp(512), CONV, VQVAE, LADDER)}
