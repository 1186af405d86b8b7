"""Every config is lowered for CPU, GPU and TPU on a machine that has only a CPU.

`jax.export` compiles nothing, but finds what cannot be expressed on a platform, and what was chosen
for the machine at hand instead of the platform of the program.
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
CONFIGS = sorted(
    path.stem for path in (pathlib.Path(__file__).parents[2] / "configs").glob("*.py")
)
HANDFUL = ("beta_vae", "vae")  # the rest in the slow tests


def arrays(tree):
    """Shapes and dtypes of the arrays of a tree."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)


@pytest.mark.parametrize(
    "name", [name if name in HANDFUL else pytest.param(name, marks=pytest.mark.slow) for name in CONFIGS]
)
def test_training_and_evaluation_of_a_config(name, tmp_path):
    path = pathlib.Path(__file__).parents[2] / "configs" / f"{name}.py"
    config = runpy.run_path(str(path))["get_config"]()
    run = make_run(config, tmp_path / "run")
    trainer = trainers.SingleRunTrainer(run)
    source = arrays(run.dataset.train)
    init = lambda source: trainers.initial_state(config, run.model, run.tx, source)
    state = jax.eval_shape(init, run.dataset.train)
    epoch = jax.export.export(trainer.epoch(2), platforms=PLATFORMS)(state, source)
    assert epoch.platforms == PLATFORMS
    corruption = builders.build_corruption(config)
    evaluate = make_evaluator(
        with_fixed_sigma(run.model), batch_size=config.evaluation.batch_size, corruption=corruption
    )
    print(type(evaluate))
