"""Every config is lowered for CPU, GPU and TPU on a machine that has only a CPU.

`jax.export` compiles nothing, but finds what cannot be expressed on a platform.
"""

import pathlib
import runpy

import jax
import jax.export  # not loaded by `import jax`
import jax.numpy as jnp
import pytest

from vae_jax.evaluation import make_evaluator
from vae_jax.evaluation.sigma import with_fixed_sigma
from vae_jax.experiment import builders
from vae_jax.experiment.run import make_run
from vae_jax.experiment.training import trainers

PLATFORMS = ("cpu", "cuda", "tpu")
FOLDER = pathlib.Path(__file__).parents[2] / "configs"
CONFIGS = sorted(path.stem for path in FOLDER.glob("*.py"))
DEFAULT = {"beta_vae", "ladder_vae", "vae"}  # all others in the slow tests


def exported(program, *arguments):
    """Return the exported program; its text has a module for all platforms."""
    result = jax.export.export(program, platforms=PLATFORMS)(*arguments)
    assert result.platforms == PLATFORMS
    return result


@pytest.fixture(scope="module")
def datasets():
    """Data by their fields, as several configs have the same."""
    return {}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in DEFAULT else pytest.mark.slow) for name in CONFIGS],
)
def test_training_and_evaluation_of_a_config(name, datasets, tmp_path):
    config = runpy.run_path(str(FOLDER / f"{name}.py"))["get_config"]()
    run = make_run(config, tmp_path / "run", datasets.get(str(config.data)))
    datasets[str(config.data)] = run.dataset
    source = run.dataset.train
    state = jax.eval_shape(
        lambda source: trainers.initial_state(config, run.model, run.tx, source), source
    )
    exported(trainers.SingleRunTrainer(run).epoch(2).function, state, source)

    model, key = with_fixed_sigma(run.model), jax.random.key(0)
    x = jax.ShapeDtypeStruct((1, *run.dataset.shape), jnp.float32)
    params = jax.eval_shape(model.init, key, x, key)
    program = make_evaluator(
        model,
        batch_size=config.evaluation.batch_size,
        corruption=builders.build_corruption(config),
    ).run
    calls, _ = program.plan_calls(run.dataset.test)
    assert exported(program.some_batches, params, run.dataset.test, key, *calls[0]).out_avals


def test_convolutions_are_chosen_by_the_platform_of_the_program():
    """On a GPU or TPU, no rewriting for CPUs: the native convolution of the platform."""
    model = builders.build_model(
        runpy.run_path(str(FOLDER / "beta_vae.py"))["get_config"]("burgess"), (64, 64, 1)
    )
    key, x = jax.random.key(0), jax.ShapeDtypeStruct((1, 64, 64, 1), jnp.float32)
    params = jax.eval_shape(model.init, key, x, key)
    apply = jax.jit(lambda params, x: model.apply(params, x, key).log_px_z.mean())
    counts = {
        platform: str(
            jax.export.export(apply, platforms=(platform,))(params, x).mlir_module()
        ).count("stablehlo.convolution")
        for platform in PLATFORMS
    }
    assert counts["cuda"] == counts["tpu"] == 8
    assert counts["cpu"] < 8
