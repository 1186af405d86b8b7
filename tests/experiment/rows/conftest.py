"""Small finished runs, trained once for all tests of rows."""

import functools
import pathlib

import numpy as np
import pytest

from vae_jax.config import Config, Data
from vae_jax.experiment import train_and_evaluate


def write_table(path: pathlib.Path) -> pathlib.Path:
    """Rows of three columns: two that follow each other, and counts of another scale."""
    rng = np.random.default_rng(0)

    def rows(num: int) -> np.ndarray:
        first = rng.normal(size=num)
        third = rng.normal(100, 10, num)
        columns = [first, first + 0.1 * rng.normal(size=num), third]
        return np.stack(columns, axis=1).astype(np.float32)

    np.savez(path, train_x=rows(200), valid_x=rows(60), test_x=rows(40))
    return path


def write_images(path: pathlib.Path) -> pathlib.Path:
    """Bars, uint8 [N, 4, 4], with the name of their column."""
    rng = np.random.default_rng(1)
    arrays = {}
    for split, num in (("train", 120), ("test", 21)):
        column = np.arange(num) % 4
        x = np.zeros((num, 4, 4), np.uint8)
        x[np.arange(num), :, column] = rng.integers(100, 256, (num, 4))
        arrays |= {f"{split}_images": x, f"{split}_labels": np.array(list("abcd"))[column]}
    np.savez(path, **arrays)
    return path


def make_config(path: pathlib.Path) -> Config:
    config = Config(data=Data(name="npz", path=str(path)))
    config.model.hidden, config.model.latent_dim = (16,), 2
    train = config.train
    train.num_steps = train.eval_every = train.log_every = 60
    train.batch_size = 32
    return config


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A function from a name to the folder of a run: 'table', or 'images' with classes."""
    folder = tmp_path_factory.mktemp("rows")

    @functools.cache
    def run(name: str) -> pathlib.Path:
        if name == "table":
            config = make_config(write_table(folder / "table.npz"))
        else:
            config = make_config(write_images(folder / "images.npz"))
            config.model.conditioning, config.model.num_classes = "label", 4
            config.data.binarization = "dynamic"
        train_and_evaluate(config, folder / name)
        return folder / name

    return run
