"""Small finished runs, trained once for all tests of rows."""

import csv
import functools
import pathlib

import numpy as np
import pytest

from vae_jax.config import Config, Data
from vae_jax.experiment.training import loop


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


HEADER = ["patient_id", "age", "visits", "color", "smoker"]


def write_mixed(path: pathlib.Path, num: int = 150) -> pathlib.Path:
    """Rows of four kinds, of which each depends on the age, with empty cells."""
    rng = np.random.default_rng(2)
    lines = []
    for number in range(num):
        age = rng.normal(50, 15)
        color = ["blue", "green", "red"][int(np.clip(age // 20, 0, 2)) if age < 90 else 2]
        row = [f"{age:.1f}", str(rng.poisson(max(age, 1) / 10)), color, str(age > 50)]
        row = ["" if rng.random() < 0.1 else text for text in row]
        lines.append([f"p{number:04d}", *row])
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([HEADER, *lines])
    return path


def write_text(path: pathlib.Path, num: int = 60) -> pathlib.Path:
    """Molecules of a few atoms with names, under a header."""
    rng = np.random.default_rng(3)
    lines = ["smiles name"]
    for number in range(num):
        atoms = rng.choice(["C", "N", "Cl", "[nH]"], rng.integers(2, 6))
        lines.append(f"{''.join(atoms)} molecule {number}")
    path.write_text("\n".join(lines) + "\n")
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
    """A function from a name to the folder of a run, which is trained but not evaluated.

    'table' of numbers, 'images' with classes, 'mixed' with names, kinds and missing values, or
    'text' of molecules.
    """
    folder = tmp_path_factory.mktemp("rows")

    @functools.cache
    def run(name: str) -> pathlib.Path:
        if name == "table":
            config = make_config(write_table(folder / "table.npz"))
        elif name == "mixed":
            config = make_config(write_mixed(folder / "mixed.csv"))
            config.data.name, config.data.missing = "table", True
        elif name == "text":
            config = make_config(write_text(folder / "text.smi"))
            config.data.name, config.train.batch_size = "text", 16
            c = config.model
            c.token_features, c.encoder_width, c.decoder_width = 4, 8, 8
        else:
            config = make_config(write_images(folder / "images.npz"))
            config.model.conditioning, config.model.num_classes = "label", 4
            config.data.binarization = "dynamic"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "evaluate_runs", lambda *_, **__: {})
            loop.train_and_evaluate(config, folder / name)
        return folder / name

    return run
