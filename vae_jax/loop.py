"""A run from config to results: train with evaluations and checkpoints, then the final numbers and figures."""

import dataclasses
import functools
import json
import logging
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import optax
import tqdm

from vae_jax import build, parallel, train, trained, visualize
from vae_jax import config as config_lib
from vae_jax.checkpoint import Checkpoints
from vae_jax.config import Config
from vae_jax.data import Dataset, order
from vae_jax.errors import InputError, RunStopped
from vae_jax.evaluation import Terms, make_evaluator, summarize
from vae_jax.evaluation.terms import Evaluator
from vae_jax.models import VAE
from vae_jax.records import MetricsWriter, read_metrics, write_json
from vae_jax.train import TrainState
from vae_jax.types import LossFn, Metrics, Params


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What a config was built into. Nothing here is compiled yet."""

    config: Config
    workdir: pathlib.Path
    dataset: Dataset
    model: VAE
    loss_fn: LossFn
    tx: optax.GradientTransformation
    mesh: jax.sharding.Mesh | None


def make_run(config: Config, workdir: str | os.PathLike) -> Run:
    """Checks the config and builds every part of it; InputError before a model is compiled or anything written."""
    config_lib.check(config)
    tx = build.build_optimizer(config)
    dataset = build.build_data(config)
    model = build.build_model(config, dataset.shape)
    return Run(config, pathlib.Path(workdir), dataset, model, build.build_loss(config, model), tx, parallel.data_mesh())


def train_and_evaluate(config: Config, workdir: str | os.PathLike) -> dict[str, Any]:
    """Trains to `config.train.num_steps`, from the newest checkpoint in the workdir if there is one; returns the results.

    Raises:
      InputError: the config, the data or the workdir can't be used, or the workdir holds a run of another config.
      RunStopped: too many non-finite steps in a row, or a checkpoint that could not be written.
    """
    run = make_run(config, workdir)
    claim_workdir(run.workdir, config)
    with Checkpoints(run.workdir, keep=config.train.keep_checkpoints) as checkpoints:
        state = initial_state(run)
        state = checkpoints.restore_latest(state) or state
        try:
            train_to_end(run, state, checkpoints)
        except OSError as error:
            raise RunStopped(f"{error}; {_last_good(checkpoints)}") from error
    return evaluate_run(run)


def evaluate_workdir(workdir: str | os.PathLike, override: Config | None = None) -> dict[str, Any]:
    """Evaluates a finished or interrupted run again, and draws it; returns the results.

    `override` may differ from the saved config in `evaluation`, and in where the data are.
    """
    saved = read_config(pathlib.Path(workdir))
    if override is not None:
        free = ("evaluation.", "data.dir", "data.path")
        check_same(override, saved, workdir, [line for line in config_lib.flatten(saved) if line.startswith(free)])
    return evaluate_run(make_run(override or saved, workdir))


def initial_state(run: Run) -> TrainState:
    """The state at step 0, on all devices."""
    key_init, key_example = jax.random.split(jax.random.key(run.config.seed))
    x = run.dataset.train.take(np.zeros(1, np.int32), key_example)["x"]
    ema = run.config.optimizer.ema_decay > 0
    return parallel.replicate(train.init_state(key_init, run.model, x, run.tx, ema=ema), run.mesh)


def train_to_end(run: Run, state: TrainState, checkpoints: Checkpoints) -> TrainState:
    """The training loop. The metrics of one call are read after the next is under way, so that the device never waits."""
    c = run.config.train
    source = parallel.replicate(run.dataset.train, run.mesh)
    writer = MetricsWriter(run.workdir, start_step=int(state.step))
    bar = tqdm.tqdm(total=c.num_steps, initial=int(state.step), unit="step", desc=run.config.name, dynamic_ncols=True)
    pending: tuple[int, int, Metrics] | None = None
    for start, stop in calls(int(state.step), run.config):
        state, metrics = _epoch(run, stop - start)(state, source)
        if pending is not None:
            _report(run, *pending, writer, bar, checkpoints)
        pending = (start, stop, metrics)
        if stop % c.eval_every == 0 or stop == c.num_steps:
            _report(run, *pending, writer, bar, checkpoints)
            pending = None
            numbers = _summarize(run, evaluate(run, state.eval_params, "valid"))
            writer.write(stop, "valid", numbers, binarization=run.dataset.preparation["binarization"])
            _save(run, state, _score(numbers), checkpoints)
    bar.close()
    writer.close()
    return state


def calls(step: int, config: Config) -> Iterator[tuple[int, int]]:
    """(first, one past last) steps of each compiled call: it ends at a multiple of `log_every` or `eval_every`, or the end."""
    c = config.train
    while step < c.num_steps:
        stop = min(step - step % c.log_every + c.log_every, step - step % c.eval_every + c.eval_every, c.num_steps)
        yield step, stop
        step = stop


def evaluate(run: Run, params: Params, split: str, num_samples: int = 1) -> Terms:
    """The per-example terms of a split, with the config's evaluation seed."""
    source = parallel.replicate(getattr(run.dataset, split), run.mesh)
    return _evaluator(run, num_samples)(params, source, jax.random.key(run.config.evaluation.seed))


def evaluate_run(run: Run) -> dict[str, Any]:
    """Final numbers of the best checkpoint on validation and test, written to `results.json`, and the figures."""
    began = time.monotonic()
    model = trained.load(run.workdir)
    params = parallel.replicate(model.params, run.mesh)
    terms = {split: evaluate(run, params, split, run.config.evaluation.num_samples) for split in ("valid", "test")}
    results = {
        "name": run.config.name,
        "seed": run.config.seed,
        "step": model.step,
        "likelihood": run.config.model.likelihood,
        "estimator": f"ELBO in nats per example, {run.config.evaluation.num_samples} draws of z each, "
        "standard error over examples; checkpoint of the best validation score",
        "data": {"name": run.dataset.name, **_sizes(run.dataset), **run.dataset.preparation},
        **{split: _summarize(run, values) for split, values in terms.items()},
    }
    write_json(run.workdir / "results.json", results)
    visualize.draw_all(
        model,
        run.dataset,
        terms["test"],
        read_metrics(run.workdir),
        run.workdir / "figures",
        corruption=build.build_corruption(run.config),
    )
    logging.info("evaluated in %.1f s", time.monotonic() - began)
    return results


def describe(results: dict[str, Any]) -> str:
    """The final numbers in a line or two, with how they were made."""
    test, data = results["test"], results["data"]
    if np.isfinite(test["elbo"]):
        bound = f"test ELBO {test['elbo']:.2f} +- {test['elbo_stderr']:.2f} nats"
        parts = f"distortion {test['distortion']:.2f}, rate {test['rate']:.2f}, "
    else:
        bound, parts = f"test distortion {test['distortion']:.2f} nats (no ELBO: a deterministic posterior has no rate)", ""
    how = f"{results['likelihood']} likelihood, binarization {data['binarization']}"
    return (
        f"{bound} ({data['name']}, {data['num_test']} images, {how}; step {results['step']})\n"
        f"  {parts}{test['bits_per_dim']:.4f} bits/dim, MSE {test['mse']:.5f}, PSNR {test['psnr']:.2f} dB, "
        f"{test['active_units']} active units"
    )


def claim_workdir(workdir: pathlib.Path, config: Config) -> None:
    """Makes the workdir and writes `config.json`; InputError if it can't be written or holds a run of another config."""
    if (workdir / "config.json").exists():
        check_same(config, read_config(workdir), workdir)
        return
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(workdir / "config.json", dataclasses.asdict(config))
    except OSError as error:
        raise InputError(f"workdir = {os.fspath(workdir)!r}: cannot be written ({error.strerror or error})") from error


def read_config(workdir: pathlib.Path) -> Config:
    """The config that a run saved; InputError where there is none."""
    path = workdir / "config.json"
    try:
        return config_lib.from_dict(json.loads(path.read_text()))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"workdir = {os.fspath(workdir)!r}: no run there, {path} cannot be read ({error})") from error


def check_same(ours: Config, saved: Config, workdir: str | os.PathLike, free: list[str] | None = None) -> None:
    """InputError with every field in which the config differs from that of the run in the workdir, `free` ones apart."""
    differences = config_lib.differences(ours, saved, free or [])
    if differences:
        raise InputError(
            f"workdir = {os.fspath(workdir)!r}: holds a run of another config; take another workdir, or make these equal:\n  "
            + "\n  ".join(differences)
        )


@functools.cache
def _epoch(run: Run, num_steps: int) -> Any:
    c = run.config
    indices = functools.partial(
        order.batch_index, num_examples=run.dataset.train.num_examples, batch_size=c.train.batch_size, seed=c.seed
    )
    return train.make_train_epoch(
        run.loss_fn, run.tx, order=indices, num_steps=num_steps, ema_decay=c.optimizer.ema_decay or None, mesh=run.mesh
    )


@functools.cache
def _evaluator(run: Run, num_samples: int) -> Evaluator:
    corruption = build.build_corruption(run.config)
    batch_size = run.config.evaluation.batch_size
    return make_evaluator(run.model, batch_size=batch_size, num_samples=num_samples, corruption=corruption, mesh=run.mesh)


def _summarize(run: Run, terms: Terms) -> dict[str, float]:
    return summarize(terms, run.dataset.shape, run.dataset.test.value_range)


def _report(
    run: Run, start: int, stop: int, metrics: Metrics, writer: MetricsWriter, bar: tqdm.tqdm, checkpoints: Checkpoints
) -> None:
    """Writes the means of a call's metrics over its good steps, and stops the run when too many in a row were not."""
    values = {name: np.asarray(value) for name, value in jax.device_get(metrics).items()}
    skipped_in_a_row = values.pop("skipped_in_a_row")
    numbers = {name: _finite_mean(value) for name, value in values.items()} | {"skipped": int(values["skipped"][-1])}
    writer.write(stop, "train", numbers)
    bar.set_postfix_str(f"loss {numbers['loss']:.2f} rate {numbers['rate']:.2f}", refresh=False)
    bar.update(stop - bar.n)
    limit = run.config.train.max_skipped_in_a_row
    if skipped_in_a_row.max() >= limit:
        step = start + int(np.argmax(skipped_in_a_row >= limit)) + 1
        raise RunStopped(
            f"step {step}: {limit} steps in a row had a loss or gradient that was not finite "
            f"(config.train.max_skipped_in_a_row = {limit}, config in {run.workdir / 'config.json'}); {_last_good(checkpoints)}"
        )


def _finite_mean(values: np.ndarray) -> float:
    good = values[np.isfinite(values)]
    return float(good.mean(dtype=np.float64)) if len(good) else float(values[-1])


def _score(numbers: dict[str, float]) -> float:
    """What the best checkpoint has most of: the ELBO, or the log-likelihood of reconstructions where the rate is infinite."""
    score = numbers["elbo"] if np.isfinite(numbers["rate"]) else -numbers["distortion"]
    return score if np.isfinite(score) else -float(np.finfo(np.float32).max)


def _save(run: Run, state: TrainState, score: float, checkpoints: Checkpoints) -> None:
    try:
        checkpoints.save(state, run.config, run.dataset.shape, score)
    except Exception as error:  # a full disk comes as many types from Orbax and TensorStore
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise RunStopped(f"checkpoint {int(state.step)} could not be written: {reason}; {_last_good(checkpoints)}") from error


def _last_good(checkpoints: Checkpoints) -> str:
    steps = checkpoints.steps()
    last = f"is step {steps[-1]}" if steps else "does not exist yet"
    return f"the last good checkpoint {last} in {checkpoints.directory}"


def _sizes(dataset: Dataset) -> dict[str, int]:
    return {f"num_{split}": getattr(dataset, split).num_examples for split in ("train", "valid", "test")}
