"""Training runs reach published numbers; minutes each."""

import importlib.util
import pathlib

import pytest

from vae_jax.experiment.training import loop

pytestmark = pytest.mark.slow


@pytest.fixture
def mnist(real_data):
    path = pathlib.Path(__file__).parents[2] / "configs" / "vae.py"
    spec = importlib.util.spec_from_file_location("vae", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config("mnist")
    config.data.dir = str(real_data / "tfds")
    return config


def test_mnist_one_hidden_layer_of_400(mnist, tmp_path):
    numbers = loop.train_and_evaluate(mnist, tmp_path)
    assert -numbers["test"]["elbo"] <= 101.5


def test_mnist_two_hidden_layers_of_500(mnist, tmp_path):
    mnist.model.hidden, mnist.model.latent_dim = (500, 500), 40
    mnist.train.num_steps = 21_500  # 50 epochs
    numbers = loop.train_and_evaluate(mnist, tmp_path)
    assert -numbers["test"]["elbo"] <= 93.5
