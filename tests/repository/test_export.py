"""Every config is lowered for CPU, GPU and TPU on a machine that has only a CPU.

Variants that a command names are lowered by `test_commands.py`, published configs by
`test_published_table.py`.
"""

import pathlib
import runpy

import jax
import jax.export  # not loaded by `import jax`
import jax.numpy as jnp
import pytest
from platforms import PLATFORMS, export_run

from vae_jax.experiment import builders
from vae_jax.experiment.run import make_run

FOLDER = pathlib.Path(__file__).parents[2] / "configs"
CONFIGS = sorted(path.stem for path in FOLDER.glob("*.py"))
DEFAULT = {"beta_vae", "ladder_vae", "vae"}  # all others in the slow tests


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
    export_run(run)


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
