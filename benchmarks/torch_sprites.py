"""The job of configs/beta_vae.py:burgess in PyTorch: train, validate, checkpoint, test, plot.

`benchmarks.process` runs it with the settings of that config. Evaluation has the same size and
frequency: validation every `eval_every` steps, and validation and test of the best checkpoint.
"""

import argparse
import json
import pathlib

import matplotlib
import numpy as np
import torch
from torch import Tensor

from benchmarks import torch_train
from benchmarks.torch_models import VAE

matplotlib.use("Agg")
from matplotlib import pyplot as plt


@torch.inference_mode()
def evaluate(model: VAE, images: Tensor, batch_size: int = 256) -> dict[str, float]:
    """Mean ELBO, distortion and rate, nats per example, one draw of z each."""
    sums = torch.zeros(2, device=images.device, dtype=torch.float64)
    for index in torch.arange(len(images), device=images.device).split(batch_size):
        distortion, rate, _ = model.terms(_read(images, index))
        sums += torch.stack([distortion, rate]).double()
    distortion, rate = (sums / len(images)).tolist()
    return {"elbo": -distortion - rate, "distortion": distortion, "rate": rate}


@torch.inference_mode()
def plot(model: VAE, images: Tensor, path: pathlib.Path) -> None:
    """Save a grid of eight images above their reconstructions as a PNG."""
    x = _read(images, torch.arange(8, device=images.device))
    pairs = torch.stack([x, torch.sigmoid(model.terms(x)[2])])[:, :, 0].cpu().numpy()
    figure, axes = plt.subplots(2, 8, figsize=(8, 2))
    for axis, image in zip(axes.flat, pairs.reshape(-1, *pairs.shape[2:]), strict=True):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        axis.axis("off")
    figure.savefig(path, dpi=100)


def _read(images: Tensor, index: Tensor) -> Tensor:
    return torch_train.read(images, index, dynamic=False, layout=torch.channels_last)


def load(path: str, split: str, where: torch.device) -> Tensor:
    """The images of a split, uint8 [N, 1, 64, 64]."""
    with np.load(path) as file:
        return torch.from_numpy(file[f"{split}_images"]).permute(0, 3, 1, 2).contiguous().to(where)


def train(model: VAE, arguments: argparse.Namespace, where: torch.device) -> None:
    """Train; writes latest and best checkpoints, and losses as JSON lines, into the workdir."""
    images, valid = (load(arguments.data, split, where) for split in ("train", "valid"))
    step = torch_train.make_step(
        model,
        images,
        dynamic=False,
        learning_rate=arguments.learning_rate,
        compiled=arguments.compile,
    )
    best, batches = -float("inf"), torch_train.batches(len(images), arguments.batch_size, where)
    with open(arguments.workdir / "metrics.jsonl", "w") as log:
        for number in range(1, arguments.steps + 1):
            loss = step(next(batches))
            if number % arguments.log_every == 0:
                print(json.dumps({"step": number, "loss": loss.item()}), file=log)
            if number % arguments.eval_every == 0 or number == arguments.steps:
                values = evaluate(model, valid)
                print(json.dumps({"step": number, **values}), file=log)
                torch.save(
                    {"step": number, "model": model.state_dict()}, arguments.workdir / "last.pt"
                )
                if values["elbo"] > best:
                    best = values["elbo"]
                    torch.save(
                        {"step": number, "model": model.state_dict()}, arguments.workdir / "best.pt"
                    )


def main() -> None:
    """Train, evaluate the best checkpoint on validation and test, and plot its reconstructions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--workdir", required=True, type=pathlib.Path)
    for flag in ("steps", "batch_size", "log_every", "eval_every"):
        parser.add_argument(f"--{flag}", required=True, type=int)
    for flag in ("learning_rate", "beta"):
        parser.add_argument(f"--{flag}", required=True, type=float)
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    arguments.workdir.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    where = torch_train.device()
    model = torch_train.make_model("burgess", arguments.beta, where)
    train(model, arguments, where)
    model.load_state_dict(torch.load(arguments.workdir / "best.pt")["model"])
    held_out = {split: load(arguments.data, split, where) for split in ("valid", "test")}
    results = {split: evaluate(model, images) for split, images in held_out.items()}
    (arguments.workdir / "results.json").write_text(json.dumps(results, indent=2))
    plot(model, held_out["test"], arguments.workdir / "reconstructions.png")
    print(f"test ELBO {results['test']['elbo']:.2f} nats")


if __name__ == "__main__":
    main()
