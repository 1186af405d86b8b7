"""pythae: its BetaVAE with the same networks, and the step of its `BaseTrainer.train_step`.

As in the trainer: a `DataLoader` over a `BaseDataset` of float32 images (collated one by one in
the main process, its default), the model's forward pass and loss, `torch.optim.Adam`, and a loss
that is read after every step. The trainer's progress bar and callbacks are omitted. Images are
binarized once, since pythae cannot binarize them at each reading.
"""

import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch
from pythae.data.datasets import BaseDataset, collate_dataset_output
from pythae.models import BetaVAE, BetaVAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from torch import nn

from benchmarks.contestants import Unavailable
from benchmarks.tasks import TASKS, Task
from benchmarks.torch_models import NETWORKS

logging.getLogger("pythae").setLevel(logging.WARNING)


class Encoder(BaseEncoder):
    """pythae's interface around one of our encoders."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> ModelOutput:
        """Mean and log-variance [N, D]."""
        mean, logvar = self.network(x).chunk(2, dim=-1)
        return ModelOutput(embedding=mean, log_covariance=logvar)


class Decoder(BaseDecoder):
    """pythae's interface around a decoder; its loss expects probabilities."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: torch.Tensor) -> ModelOutput:
        """Probabilities like x."""
        return ModelOutput(reconstruction=torch.sigmoid(self.network(z)))


class PythaeSteps:
    """One step per call."""

    def __init__(self, task: Task, dataset: BaseDataset, where: torch.device) -> None:
        torch.manual_seed(0)
        encoder, decoder = NETWORKS[task.network]()
        latent_dim = next(p for p in decoder.parameters()).shape[1]
        config = BetaVAEConfig(
            input_dim=tuple(dataset.data.shape[1:]),
            latent_dim=latent_dim,
            reconstruction_loss="bce",
            beta=task.beta,
        )
        self._where = where
        self._model = (
            BetaVAE(config, encoder=Encoder(encoder), decoder=Decoder(decoder)).to(where).train()
        )
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=task.learning_rate)
        self._loader = torch.utils.data.DataLoader(
            dataset,
            batch_size=task.batch_size,
            shuffle=True,
            collate_fn=collate_dataset_output,
            drop_last=True,
        )
        self._batches, self._loss = self._endless(), 0.0
        self.units_per_call = task.batch_size
        num_parameters = sum(p.numel() for p in self._model.parameters())
        self.info = {"parameters": num_parameters, "device": where.type, "steps_per_call": 1}

    def _endless(self) -> Iterator[Any]:
        while True:
            yield from self._loader

    def call(self) -> None:
        """Run one step and read its loss."""
        inputs = {name: value.to(self._where) for name, value in next(self._batches).items()}
        output = self._model(inputs)
        self._optimizer.zero_grad()
        output.loss.backward()
        self._optimizer.step()
        self._loss = output.loss.item()

    def wait(self) -> None:
        """Do nothing: each step reads its loss."""

    def device_peak(self) -> int:
        """Peak bytes on the GPU so far."""
        return torch.cuda.max_memory_allocated() if self._where.type == "cuda" else 0


def prepare(task_name: str, dtype: str, variant: str) -> Callable[[], PythaeSteps]:
    """A task in pythae, in float32: its trainer disables mixed precision for this loss."""
    del variant
    if dtype != "float32":
        raise Unavailable(f"its trainer has no {dtype} for the loss 'bce'")
    task = TASKS[task_name]
    if task.network not in NETWORKS:
        raise Unavailable(f"its {task.network} has other terms and is not built here")
    data = torch.from_numpy(task.examples(task.num_examples)).permute(0, 3, 1, 2).float() / 255
    data = torch.bernoulli(data) if task.dynamic else data
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return functools.partial(PythaeSteps, task, BaseDataset(data, torch.zeros(len(data))), where)
