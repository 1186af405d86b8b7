"""An idiomatic PyTorch training step, for the benchmark of steps and for that of whole runs."""

import functools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks import torch_models
from benchmarks.torch_models import CHANNELS_LAST


def device() -> torch.device:
    """The GPU if there is one, with the usual settings: TF32, as in JAX, and cuDNN benchmarking."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    return torch.device("cuda")


def make_model(network: str, beta: float, where: torch.device) -> nn.Module:
    """The model, in the memory layout that is fast for its network."""
    model = torch_models.make(network, beta).to(where)
    return model.to(memory_format=torch.channels_last) if network in CHANNELS_LAST else model


def read(examples: Tensor, index: Tensor, *, dynamic: bool, layout: torch.memory_format) -> Tensor:
    """The examples at index: tokens x [B, L] int64, or images.

    Images are x [B, C, H, W] float32 in [0, 1], binarized if `dynamic`. The comparison with uniform
    numbers is three times as fast on the CPU as `torch.bernoulli`.
    """
    if examples.ndim == 2:
        return examples[index].long()
    x = examples[index].float().div_(255)
    return (torch.rand_like(x) < x).float() if dynamic else x.contiguous(memory_format=layout)


def batches(num: int, batch_size: int, where: torch.device) -> Iterator[Tensor]:
    """Endless indices [B] from permutations, each without its incomplete last batch."""
    while True:
        yield from torch.randperm(num, device=where)[: num - num % batch_size].split(batch_size)


def make_step(
    model: nn.Module,
    examples: Tensor,
    *,
    dynamic: bool,
    learning_rate: float,
    compiled: bool,
    autocast: bool = False,
) -> Callable[[Tensor], Tensor]:
    """Index [B] -> loss []: one step of fused Adam.

    If `compiled`, forward pass and loss are one function under torch.compile, together with its
    backward pass. On a GPU, it records CUDA graphs, which speeds up small networks most.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    where, layout = examples.device, next((p for p in model.parameters() if p.ndim == 4), None)
    channels_last = layout is not None and layout.is_contiguous(memory_format=torch.channels_last)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    get = functools.partial(read, examples, dynamic=dynamic, layout=memory_format)

    def loss_fn(x: Tensor) -> Tensor:
        with torch.autocast(where.type, torch.bfloat16, enabled=autocast):
            return model(x)

    if compiled:
        loss_fn = torch.compile(loss_fn, mode="reduce-overhead" if where.type == "cuda" else None)

    def step(index: Tensor) -> Tensor:
        loss = loss_fn(get(index))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step
