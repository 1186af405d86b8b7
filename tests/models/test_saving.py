"""Models composed by hand go round through a folder, with own parts and without a config."""

import functools
import json
import math
import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import vae_jax
from vae_jax import VAE, distributions, likelihoods, nets, posteriors, priors
from vae_jax.data.inputs import Inputs
from vae_jax.errors import InputError
from vae_jax.models import VQVAE, Hierarchical, Stacked, map_levels, module_spec, vector_levels
from vae_jax.models.trained import TrainedModel
from vae_jax.posteriors.quantizers import VectorQuantizer

KEY = jax.random.key(0)
X = np.random.default_rng(0).uniform(size=(4, 3)).astype(np.float32)
LIKELIHOOD = likelihoods.Gaussian((3,), 0.5)


def squash(x):
    return nn.tanh(x)


class Encoder(nn.Module):
    """A person's own part."""

    width: int = 4
    activation: object = nn.relu

    @nn.compact
    def __call__(self, x):
        return self.activation(nn.Dense(self.width)(x))


class Prior(nn.Module):
    def __call__(self):
        return distributions.DiagGaussian(jnp.ones(2), jnp.zeros(2))


MODEL = VAE(
    Encoder(5, squash),
    nets.MLP((4,), nn.gelu, jnp.float32),
    posteriors.DiagGaussianHead(2, posteriors.softplus_logvar),
    Prior(),
    LIKELIHOOD,
)
CODES = VQVAE(
    nets.MLP((4,)), VectorQuantizer(5, 2), Encoder(), LIKELIHOOD, priors.UniformCodes((2,), 5)
)
PARAMS = jax.jit(MODEL.init)(KEY, X, KEY)


def rebuilt(model):
    return module_spec.from_json(json.loads(json.dumps(module_spec.to_json(model))))


def test_a_model_goes_round(tmp_path):
    inputs = Inputs((3,), (0.0, 1.0), scale=1 / 255)
    trained = TrainedModel(MODEL, PARAMS, step=7, selection_score=-1.5, score_name="ELBO")
    vae_jax.save(trained, tmp_path / "a" / "model", inputs=inputs)
    loaded = vae_jax.load(tmp_path / "a" / "model")
    assert loaded.model == MODEL
    assert loaded.inputs == inputs
    assert (loaded.step, loaded.selection_score, loaded.score_name) == (7, -1.5, "ELBO")
    assert jax.tree.structure(loaded.params) == jax.tree.structure(PARAMS)
    jax.tree.map(np.testing.assert_array_equal, loaded.params, PARAMS)
    np.testing.assert_array_equal(loaded.encode(X).mean, trained.encode(X).mean)
    assert sorted(os.listdir(tmp_path / "a" / "model")) == ["model.json", "params.msgpack"]
    assert os.listdir(tmp_path / "a") == ["model"]


@pytest.mark.parametrize(
    "model",
    [
        MODEL.clone(conditioning=nets.OneHot(3), condition_prior=True),
        MODEL.clone(encoder=Encoder(4, functools.partial(nn.leaky_relu, negative_slope=0.1))),
        MODEL.clone(encoder=nets.ConvEncoder((2,), (3,), jnp.tanh, jnp.bfloat16)),
        MODEL.clone(prior=priors.VampPrior((3,), 4, -math.inf, math.inf)),
        MODEL.clone(likelihood=likelihoods.Mixed((3,), ("gaussian", "categorical:3", "counts"))),
        CODES,
        Hierarchical(vector_levels((1, 2), (4, 4)), LIKELIHOOD, activation=nn.silu),
        Hierarchical(map_levels("1x1 4x2", (8, 8, 1)), likelihoods.Bernoulli((8, 8, 1))),
        Stacked((1, 2), priors.VampPrior((3,), 4), LIKELIHOOD, hidden=(4,), gated=True),
    ],
)
def test_modules_are_rebuilt(model):
    assert repr(rebuilt(model)) == repr(model)  # a partial is only equal to itself


def test_values_of_fields():
    values = (1, -2.5, math.inf, "a", None, True, (1, (2,)), {"a": 1}, jnp.bfloat16, jnp.sin)
    assert rebuilt(values) == values
    assert math.isnan(rebuilt(math.nan))
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(rebuilt(array), array)
    assert rebuilt(array).dtype == np.float32


class Table(nn.Module):
    """A part with a function that is not in a module."""

    function: object

    def __call__(self, x):
        return self.function(x)


def test_what_has_no_name_is_refused(tmp_path):
    class Inner(nn.Module):
        def __call__(self, x):
            return x

    for encoder, name in (
        (Encoder(4, lambda x: x), r"model.encoder.activation = .*lambda.*"),
        (Inner(), r"model.encoder = .*Inner.*|model.encoder = .*"),
        (Table(object()), r"model.encoder.function = .*"),
    ):
        model = MODEL.clone(encoder=encoder)
        with pytest.raises(InputError, match=rf"{name}with_module=False"):
            vae_jax.save(model, tmp_path / "model", PARAMS)
        assert not os.listdir(tmp_path)
    model = MODEL.clone(encoder=Encoder(5, lambda x: nn.tanh(x)))
    vae_jax.save(model, tmp_path / "model", PARAMS, with_module=False)
    with pytest.raises(InputError, match=r"saved without its module; pass it: load\(folder, model"):
        vae_jax.load(tmp_path / "model")
    loaded = vae_jax.load(tmp_path / "model", model=model)
    np.testing.assert_allclose(loaded.encode(X).mean, TrainedModel(MODEL, PARAMS).encode(X).mean)


@pytest.mark.parametrize(
    "spec",
    [
        {"named_tuple": "os:mkdir", "entries": ["made"]},
        {"named_tuple": "builtins:list", "entries": []},
        {"object": "os:mkdir", "fields": {"path": "made"}},
        {"object": "pathlib:Path", "fields": {}},
    ],
)
def test_a_file_cannot_call_a_function(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is not a class of a model"):
        module_spec.from_json(spec)
    assert not list(tmp_path.iterdir())


def test_another_module_is_refused(tmp_path):
    vae_jax.save(MODEL, tmp_path / "model", PARAMS)
    for model, message in (
        (
            MODEL.clone(encoder=Encoder(6)),
            r"bias'\] has shape \(5,\), the module needs \(6,\)",
        ),
        (MODEL.clone(prior=priors.Mixture(2, 3)), "prior"),
    ):
        with pytest.raises(InputError, match=rf"parameters of another module: .*{message}"):
            vae_jax.load(tmp_path / "model", model=model)


def test_nothing_is_overwritten_in_silence(tmp_path):
    vae_jax.save(MODEL, tmp_path / "model", PARAMS)
    other = jax.tree.map(jnp.zeros_like, PARAMS)
    with pytest.raises(InputError, match="holds a saved model; choose another folder"):
        vae_jax.save(MODEL, tmp_path / "model", other)
    jax.tree.map(np.testing.assert_array_equal, vae_jax.load(tmp_path / "model").params, PARAMS)
    vae_jax.save(MODEL, tmp_path / "model", other, overwrite=True)
    jax.tree.map(np.testing.assert_array_equal, vae_jax.load(tmp_path / "model").params, other)
    assert os.listdir(tmp_path) == ["model"]
    (tmp_path / "model" / "notes.txt").touch()
    with pytest.raises(InputError, match=r"holds 'notes\.txt' too, which would be lost"):
        vae_jax.save(MODEL, tmp_path / "model", PARAMS, overwrite=True)
    (tmp_path / "model" / "notes.txt").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "model")
    vae_jax.save(MODEL, tmp_path / "link", PARAMS, overwrite=True)
    jax.tree.map(np.testing.assert_array_equal, vae_jax.load(tmp_path / "model").params, PARAMS)
    (tmp_path / "link").unlink()
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="exists, and holds no saved model"):
        vae_jax.save(MODEL, tmp_path, PARAMS, overwrite=True)
    with pytest.raises(InputError, match="params = None"):
        vae_jax.save(MODEL, tmp_path / "new")


def test_damaged_and_wrong_folders(tmp_path):
    vae_jax.save(MODEL, tmp_path / "model", PARAMS)
    with pytest.raises(InputError, match=r"trial = 1.*is no run, but a saved model"):
        vae_jax.load(tmp_path / "model", trial=1)
    with pytest.raises(InputError, match="contains no saved model"):
        vae_jax.load(tmp_path, model=MODEL)
    content = (tmp_path / "model" / "params.msgpack").read_bytes()
    (tmp_path / "model" / "params.msgpack").write_bytes(content[:-20])
    with pytest.raises(InputError, match="not a complete saved model"):
        vae_jax.load(tmp_path / "model")
    (tmp_path / "model" / "model.json").write_text("{")
    with pytest.raises(InputError, match="not a complete saved model"):
        vae_jax.load(tmp_path / "model")


@pytest.mark.slow
def test_parts_of_a_script(tmp_path):
    """Saved by a script whose own part is in __main__, and loaded by another; 20 s."""
    script = textwrap.dedent(
        """
        import jax, jax.numpy as jnp, vae_jax, sys
        from flax import linen as nn
        from vae_jax import VAE, likelihoods, nets, posteriors, priors

        class Mine(nn.Module):
            @nn.compact
            def __call__(self, x):
                return nn.Dense(3)(x)

        model = VAE(Mine(), nets.MLP((4,)), posteriors.DiagGaussianHead(2),
                    priors.StandardNormal(2), likelihoods.Gaussian((3,)))
        if sys.argv[1] == "save":
            params = model.init(jax.random.key(0), jnp.zeros((1, 3)), jax.random.key(0))
            vae_jax.save(model, "model", params)
        assert vae_jax.load("model").model == model
        """
    )
    (tmp_path / "script.py").write_text(script)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for mode in ("save", "load"):
        command = [sys.executable, "script.py", mode]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    with pytest.raises(InputError, match="it was defined in a script or notebook: define it again"):
        vae_jax.load(tmp_path / "model")
