"""PyTorch, eager or compiled."""

import functools
from collections.abc import Callable

import torch

from benchmarks import torch_train
from benchmarks.tasks import TASKS, Task

LOG_EVERY = 100  # steps between readings of the loss, as in ours


class TorchSteps:
    """One step per call; the loss is read every `LOG_EVERY` steps."""

    def __init__(
        self, task: Task, examples: torch.Tensor, *, compiled: bool, autocast: bool
    ) -> None:
        torch.manual_seed(0)
        model = torch_train.make_model(task.network, task.beta, examples.device)
        self._step = torch_train.make_step(
            model,
            examples,
            dynamic=task.dynamic,
            learning_rate=task.learning_rate,
            compiled=compiled,
            autocast=autocast,
        )
        self._batches = torch_train.batches(len(examples), task.batch_size, examples.device)
        self._cuda, self._loss, self._count = examples.is_cuda, torch.zeros(()), 0
        self.units_per_call = task.batch_size
        name = torch.cuda.get_device_name() if self._cuda else "cpu"
        self.info = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "device": name,
            "steps_per_call": 1,
        }

    def call(self) -> None:
        """Run one step."""
        self._loss = self._step(next(self._batches))
        self._count += 1
        if self._count % LOG_EVERY == 0:
            self.wait()

    def wait(self) -> None:
        """Read the last loss."""
        if not torch.isfinite(self._loss).item():
            raise FloatingPointError("the loss is not finite")

    def device_peak(self) -> int:
        """Peak bytes on the GPU so far."""
        return torch.cuda.max_memory_allocated() if self._cuda else 0


def prepare(task_name: str, dtype: str, variant: str) -> Callable[[], TorchSteps]:
    """PyTorch on a task; bfloat16 is autocast."""
    task = TASKS[task_name]
    examples = torch.from_numpy(task.examples(task.num_examples))
    if not task.num_tokens:
        examples = examples.permute(0, 3, 1, 2).contiguous()
    return functools.partial(
        TorchSteps,
        task,
        examples.to(torch_train.device()),
        compiled=variant == "compile",
        autocast=dtype == "bfloat16",
    )
