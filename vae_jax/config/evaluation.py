"""The fields of a config that select the final metrics and their sample sizes."""

import dataclasses
import functools

from vae_jax.config.metadata import field
from vae_jax.config.rules import metric

_annealed = functools.partial(field, used_by=metric("annealed"))
_gap = functools.partial(field, used_by=metric("gap"))
_quality = functools.partial(field, used_by=metric("quality"))
_anomaly = functools.partial(field, used_by=metric("anomaly"))
_imputation = functools.partial(field, used_by=metric("imputation"))
_sequences = functools.partial(field, used_by=metric("sequences"))
_augmentation = functools.partial(field, used_by=metric("augmentation"))
_search = functools.partial(field, used_by=metric("search"))


@dataclasses.dataclass
class Evaluation:
    """The final evaluation."""

    batch_size: int = field(256, "examples per compiled call", at_least=1)
    num_samples: int = field(1, "K, samples of z per example", at_least=1)
    seed: int = field(0, "seed of the evaluation", at_least=0)
    metrics: tuple[str, ...] = field((), "metrics in addition to the bound")
    likelihood_samples: int = field(
        1_000,
        "K of each estimate of log p(x)",
        at_least=1,
        used_by=metric("likelihood", "annealed", "gap", "anomaly"),
    )
    annealed_examples: int = _annealed(
        20, "annealed importance sampling: number of test, and of simulated, examples", at_least=2
    )
    annealed_chains: int = _annealed(4, "chains per example", at_least=1)
    annealed_temperatures: int = _annealed(
        101, "intermediate distributions; the bounds tighten with them", at_least=2
    )
    decomposition_samples: int = field(
        2_000, "samples of the aggregate posterior", at_least=2, used_by=metric("decomposition")
    )
    gap_examples: int = _gap(100, "test examples whose posterior is optimized", at_least=2)
    gap_steps: int = _gap(500, "steps of optimization", at_least=1)
    population: int = field(
        20_000,
        "maximum number of examples for disentanglement and representation",
        at_least=2,
        used_by=metric("disentanglement", "representation"),
    )
    num_generated: int = field(
        5_000,
        "quality: maximum number of samples, and of test images to compare with; sequences: number "
        "of samples",
        at_least=20,
        used_by=metric("quality", "sequences"),
    )
    sequence_examples: int = _sequences(
        1_000, "maximum number of test sequences to reconstruct", at_least=2
    )
    num_beams: int = _sequences(5, "beams of the search for the likeliest sequence", at_least=1)
    features: str = _quality(
        "", "quality: .npz of a feature network; empty: train one and save it in the workdir"
    )
    feature_steps: int = _quality(1_500, "training steps of the feature network", at_least=1)
    anomaly: str = _anomaly(
        "", "other data: an .npz file or a name as data.name; empty: the class data.leave_out"
    )
    anomaly_examples: int = _anomaly(
        2_000, "maximum number of normal, and of anomalous, examples", at_least=2
    )
    anomaly_quantile: float = _anomaly(
        0.95,
        "quantile of validation scores above which an example is flagged",
        at_least=0,
        at_most=1,
    )
    augmentation_examples: int = _augmentation(
        1_000, "maximum number of labeled examples that a classifier is trained on", at_least=2
    )
    augmentation_updates: int = _augmentation(2_000, "training steps of the classifier", at_least=1)
    imputation_rate: float = _imputation(
        0.5, "probability that an observed test entry is hidden", above=0, at_most=0.95
    )
    imputation_samples: int = _imputation(1_000, "K of each imputation", at_least=1)
    imputation_examples: int = _imputation(2_000, "maximum number of test examples", at_least=2)
    molecule_samples: int = field(
        10_000,
        "molecules: maximum number of samples, of test molecules, and of validation molecules; the "
        "number of training molecules, at least 1,000, if they are fewer",
        at_least=2,
        used_by=metric("molecules"),
    )
    search_property: str = _search("logp", "value of a molecule: logp, qed, sa or weight")
    search_goal: str = _search("maximize", "maximize or minimize the property")
    search_budget: int = _search(
        200, "number of candidates of each search", at_least=2, at_most=1_000
    )
    search_rounds: int = _search(5, "rounds of the search with a Gaussian process", at_least=1)
    search_examples: int = _search(
        10_000, "maximum number of training molecules, for regressions and distances", at_least=20
    )
    search_points: int = _search(
        400, "training codes that the Gaussian process begins with", at_least=2, at_most=1_000
    )
    search_distance: float = _search(
        1.0,
        "maximum distance from the start, where 1 is typical of a test code to the nearest "
        "training code",
        above=0,
    )
    search_prior_weight: float = _search(
        0.01, "weight of log p(z) in an ascent, standard deviations per nat", at_least=0
    )
    figures: str = field("png", "pdf or svg: figures in this format as well as PNG")
    projection: str = field("pca", "of the map of the codes; umap needs the package umap-learn")
    compression_examples: int = field(
        100, "test examples to encode", at_least=2, used_by=metric("compression")
    )

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics; on the command line they are one string, "likelihood,gap"."""
        return tuple(name.strip() for entry in self.metrics for name in entry.split(","))
