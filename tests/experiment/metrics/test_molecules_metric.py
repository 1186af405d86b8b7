"""The metric `molecules`: numbers by hand, its file, its place in reports, and what it refuses."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.config import Config
from vae_jax.distributions import DiagGaussian
from vae_jax.errors import InputError
from vae_jax.experiment import metrics
from vae_jax.experiment.metrics import molecules, samples
from vae_jax.experiment.report import formatting
from vae_jax.experiment.run import make_run

pytest.importorskip("rdkit")


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    """The context of a model without parameters, whose samples are replaced."""
    config = Config(name="molecules")
    config.data.name = "molecules"
    config.evaluation.metrics, config.evaluation.molecule_samples = ("molecules",), 30
    run = make_run(config, tmp_path_factory.mktemp("molecules"))
    terms = types.SimpleNamespace(mse=None)
    return metrics.Context(run.config, run.workdir, run.dataset, run.model, None, terms)


@pytest.fixture(scope="module")
def numbers(context):
    """The numbers of samples that are known: ethanol twice, a training molecule, no molecule."""
    text = context.dataset.text
    known = text.decode_rows(np.asarray(context.dataset.train.images[:1]))[0]
    lines = {"draws": ["CCO", "OCC", known, "C1CC", ""], "greedy": ["C1", "", "(", "C(", ")"]}
    rows = {
        name: text.encode_lines(entry, context.dataset.shape[0]) for name, entry in lines.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(molecules, "generate_examples", lambda *_, **__: rows)
        return metrics.METRICS["molecules"](context, jax.random.key(0)), known


def test_numbers_of_known_samples(numbers):
    result, _ = numbers
    draws, greedy, validation = (result["sets"][name] for name in ("draws", "greedy", "validation"))
    assert draws["validity"] == pytest.approx(3 / 5)
    assert draws["uniqueness"] == pytest.approx(2 / 3)
    assert draws["novelty"] == pytest.approx(1 / 2)
    assert np.isnan(draws["uniqueness_1000"])
    assert greedy["validity"] == 0
    assert greedy["valid_molecules"] == 0
    assert np.isnan(greedy["nearest_similarity"])
    assert validation["validity"] == 1
    assert validation["valid_molecules"] == 30
    assert 0 < validation["nearest_similarity"] < 1
    assert result["rate_weight"] == 1
    assert result["estimator"].endswith("ChemNet distance; weight of the rate 1")
    few = "fewer than 1,000 samples; fewer than 10,000 samples"
    assert f"greedy: {few}; no molecule is valid" in result["unmeasured"]
    assert f"validation: {few}" in result["unmeasured"]


def test_valid_draws_are_written_with_their_numbers(context, numbers):
    from rdkit import Chem

    path = context.workdir / numbers[0]["samples_file"]
    assert path.read_text() == f"CCO\t1\nOCC\t2\n{numbers[1]}\t3\n"
    supplier = Chem.SmilesMolSupplier(str(path), delimiter="\t", titleLine=False)
    assert [molecule.GetProp("_Name") for molecule in supplier] == ["1", "2", "3"]


def test_the_report_has_a_row_for_each_number(numbers):
    (wide,) = [
        block
        for block in formatting.number_blocks(numbers[0])
        if block["kind"] == "table" and "Greedy" in block["head"]
    ]
    assert wide["head"] == ("", "Draws", "Greedy", "Validation", "Meaning")
    rows = {row[0]: row[1:] for row in wide["rows"]}
    shares = ("0.60 ± 0.22", "0.000 ± 0.083", "1.000 ± 0.016")
    assert rows["Validity"] == (*shares, "Share of samples that RDKit parses.")
    assert rows["Distance of weight"][1] == "not finite g/mol"
    line = metrics.describe("molecules", numbers[0])
    assert "sets/draws/validity 0.6 +- 0.22" in line
    assert "greedy" not in line


class Prior:
    """A model whose p(x | z) has a deviation of one at the mean z."""

    def apply(self, params, key, num, *, y, method):
        assert method == "generate"
        mean = params + jax.random.normal(key, (num, 3))
        return DiagGaussian(mean, jnp.zeros_like(mean))


def test_draws_and_centers_have_the_same_latents(context):
    context = dataclasses.replace(context, model=Prior(), params=jnp.float32(5))
    rows = samples.generate_examples(context, 4_000, jax.random.key(1), None, greedy=True)
    residuals = rows["draws"] - rows["greedy"]
    assert rows["greedy"].std() == pytest.approx(1, abs=0.05)
    assert residuals.std() == pytest.approx(1, abs=0.05)
    assert rows["greedy"].mean() == pytest.approx(5, abs=0.05)


def test_other_data_are_refused(tmp_path):
    config = Config(name="digits")
    config.evaluation.metrics = ("molecules",)
    with pytest.raises(InputError, match=r"'molecules': doesn't fit config.data.name = 'digits'"):
        make_run(config, tmp_path)
    config.data.name, config.data.alphabet = "molecules", "characters"
    with pytest.raises(InputError, match=r"config.data.alphabet = 'characters'; .* 'selfies'"):
        make_run(config, tmp_path)
