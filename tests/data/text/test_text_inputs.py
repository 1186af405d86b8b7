"""Texts given to a trained model, and given back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import VAE, likelihoods, nets, posteriors, priors
from vae_jax.data import load
from vae_jax.data.inputs import Inputs
from vae_jax.data.text.alphabets import Alphabet
from vae_jax.errors import InputError, UnsupportedError
from vae_jax.models import saving
from vae_jax.models.trained import TrainedModel

ALPHABET = Alphabet("smiles", ("C", "Cl", "N"))
INPUTS = Inputs((4,), (0.0, 4.0), values="tokens", text=ALPHABET)
TEXTS = ["CClN", "", "N"]
ROWS = np.float32([[2, 3, 4, 1], [1, 0, 0, 0], [4, 1, 0, 0]])
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def model():
    """A model of numbers, for only the values that reach it matter."""
    module = VAE(
        nets.MLP((5,)), nets.MLP((5,)), posteriors.DiagGaussianHead(2), priors.StandardNormal(2),
        likelihoods.Gaussian((4,)),
    )  # fmt: skip
    return TrainedModel(module, jax.jit(module.init)(KEY, jnp.asarray(ROWS), KEY), inputs=INPUTS)


@pytest.mark.parametrize(
    "x", [TEXTS, tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, object), ROWS, ROWS.astype(int)]
)
def test_texts_and_rows_are_the_same(x):
    rows, observed = INPUTS.convert_observed(x)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, ROWS)
    np.testing.assert_array_equal(observed, ROWS > 0)
    np.testing.assert_array_equal(INPUTS.convert(x), ROWS)


def test_columns_of_pandas_and_new_texts_of_numpy():
    pd = pytest.importorskip("pandas")
    for x in (pd.Series(TEXTS), np.array(TEXTS, np.dtypes.StringDType())):
        np.testing.assert_array_equal(INPUTS.convert(x), ROWS)


def test_a_line_may_be_observed_up_to_an_entry():
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
    rows, observed = INPUTS.convert_observed(ROWS, mask)
    np.testing.assert_array_equal(observed, (mask > 0) & (ROWS > 0))
    np.testing.assert_array_equal(rows, np.where(observed, ROWS, 0))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (["C", "CF"], r"x\[1\] is 'CF': token 'F' is not in the alphabet"),
        (["CCCC", "N", "CCCCC"], r"max_length = 4: x\[0\] is 'CCCC', of 4 tokens.*2 such"),
        (["C", 3, "N"], r"x\[1\] = 3: all of x must be texts"),
        ("CC", r"x = 'CC': must be a list of texts; of one, pass \[x\]"),
        (np.zeros((2, 3)), r"x has shape \(2, 3\): must be texts \[B\], or rows .* \[B, 4\]"),
        (np.zeros(4), r"x has shape \(4,\)"),
        ([[2, 1, 0, 0], [5, 1, 0, 0]], r"x\[1\] has the value 5: .* from 0 to 4"),
        ([[2.5, 1, 0, 0]], r"x\[0\] has the value 2.5"),
        ([[np.nan, 1, 0, 0]], r"x\[0\] has the value nan"),
        ([[2, 1, 0, 0], [2, 1, 0, 2]], r"x\[1\]: must be token numbers from 2, then 1"),
        ([[2, 1, 1, 0]], r"x\[0\]: must be token numbers from 2, then 1"),
        ([[2, 0, 0, 0]], r"x\[0\]: must be token numbers from 2, then 1"),
        ([[0, 0, 0, 0]], r"x\[0\]: must be token numbers from 2, then 1"),
    ],
)
def test_what_is_no_line_is_named(x, message):
    with pytest.raises(InputError, match=message):
        INPUTS.convert_observed(x)


@pytest.mark.parametrize(
    ("x", "observed", "message"),
    [
        (TEXTS, ROWS > 0, "omit it with texts"),
        (ROWS, ROWS[:2] > 0, r"observed has shape \(2, 4\)"),
        (ROWS, [[1, 1, 1, 1], [1, 0, 1, 0], [1, 1, 1, 1]], r"observed\[1\]: must be True up to"),
    ],
)
def test_a_mask_that_is_no_length_is_named(x, observed, message):
    with pytest.raises(InputError, match=message):
        INPUTS.convert_observed(x, observed)


def test_a_row_without_an_end_is_a_line_that_goes_on():
    rows, observed = INPUTS.convert_observed([[2, 2, 2, 2]])
    assert observed.all()
    assert ALPHABET.decode_rows(rows) == ["CCCC"]


def test_every_method_takes_texts(model):
    observed = jnp.asarray(ROWS > 0)
    for method in (
        lambda x, **mask: model.encode(x, **mask).mean,
        lambda x, **mask: model.reconstruct(x, **mask),
        lambda x, **mask: model.elbo(KEY, x, **mask),
        lambda x, **mask: model.log_prob(KEY, x, num_samples=3, **mask),
        lambda x, **mask: model.score(KEY, x, num_samples=3, **mask),
        lambda x, **mask: model.explain(KEY, x, num_samples=3, **mask).rate,
    ):
        value = method(TEXTS)
        np.testing.assert_array_equal(value, method(ROWS, observed=observed))
        np.testing.assert_allclose(value, jax.jit(method)(ROWS), rtol=1e-4)
    between = model.interpolate(TEXTS, TEXTS[::-1], 3)
    np.testing.assert_allclose(between[0], model.reconstruct(TEXTS), atol=1e-6)


def test_the_length_matters(model):
    """Padding is not observed: the mask reaches the bound."""
    unmasked = TrainedModel(model.model, model.params)
    masked, whole = model.elbo(KEY, TEXTS[1:]), unmasked.elbo(KEY, ROWS[1:])
    assert (np.abs(masked - whole) > 1e-3).all()


def test_rows_become_texts(model):
    assert model.text(ROWS) == TEXTS
    assert model.text(jnp.asarray(ROWS)) == TEXTS
    without = TrainedModel(model.model, model.params)
    with pytest.raises(UnsupportedError, match="not trained on lines"):
        without.text(ROWS)


def test_lines_have_no_values_to_impute(model):
    with pytest.raises(UnsupportedError, match="lines of text have no missing values"):
        model.impute(KEY, TEXTS)


def test_inputs_of_a_data_set_are_saved_with_the_model(model, tmp_path):
    inputs = Inputs.of(load("molecules"))
    assert (inputs.shape, inputs.values, inputs.missing) == ((51,), "tokens", False)
    assert inputs.text.kind == "smiles"
    saving.save(model, tmp_path / "model")
    loaded = saving.load(tmp_path / "model")
    assert loaded.inputs == INPUTS
    np.testing.assert_array_equal(loaded.encode(TEXTS).mean, model.encode(TEXTS).mean)
