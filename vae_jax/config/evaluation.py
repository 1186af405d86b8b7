"""The fields of a config that select the final metrics and their sample sizes."""

import dataclasses

from vae_jax.config.metadata import field
from vae_jax.config.rules import metric


@dataclasses.dataclass
class Evaluation:
    """The final evaluation."""

    batch_size: int = field(256, at_least=1, doc="examples per compiled call")
    num_samples: int = field(1, at_least=1, doc="K, samples of z per example")
    seed: int = field(0, at_least=0, doc="seed of the evaluation")
    metrics: tuple[str, ...] = field(
        (), doc="beside the bound: see METRICS in vae_jax/experiment/metrics/registry.py"
    )
    likelihood_samples: int = field(
        1_000,
        at_least=1,
        used_by=metric("likelihood", "annealed", "gap", "anomaly"),
        doc="K of each estimate of log p(x)",
    )
    annealed_examples: int = field(
        20,
        at_least=2,
        used_by=metric("annealed"),
        doc="annealed importance sampling: number of test, and of simulated, examples",
    )
    annealed_chains: int = field(
        4, at_least=1, used_by=metric("annealed"), doc="chains per example"
    )
    annealed_temperatures: int = field(
        101,
        at_least=2,
        used_by=metric("annealed"),
        doc="intermediate distributions; the bounds tighten with them",
    )
    decomposition_samples: int = field(
        2_000,
        at_least=2,
        used_by=metric("decomposition"),
        doc="samples of the aggregate posterior",
    )
    gap_examples: int = field(
        100,
        at_least=2,
        used_by=metric("gap"),
        doc="test examples whose posterior is optimized",
    )
    gap_steps: int = field(500, at_least=1, used_by=metric("gap"), doc="steps of optimization")
    population: int = field(
        20_000,
        at_least=2,
        used_by=metric("disentanglement", "representation"),
        doc="maximum number of examples for disentanglement and representation",
    )
    num_generated: int = field(
        5_000,
        at_least=20,
        used_by=metric("quality"),
        doc="quality: maximum number of samples, and of test images to compare with",
    )
    features: str = field(
        "",
        used_by=metric("quality"),
        doc="quality: .npz of a feature network; empty: train one and save it in the workdir",
    )
    feature_steps: int = field(
        1_500, at_least=1, used_by=metric("quality"), doc="training steps of the feature network"
    )
    anomaly: str = field(
        "",
        used_by=metric("anomaly"),
        doc="other data: an .npz file or a name as data.name; empty: the class data.leave_out",
    )
    anomaly_examples: int = field(
        2_000,
        at_least=2,
        used_by=metric("anomaly"),
        doc="maximum number of normal, and of anomalous, examples",
    )
    anomaly_quantile: float = field(
        0.95,
        at_least=0,
        at_most=1,
        used_by=metric("anomaly"),
        doc="quantile of validation scores above which an example is flagged",
    )
    augmentation_examples: int = field(
        1_000,
        at_least=2,
        used_by=metric("augmentation"),
        doc="maximum number of labeled examples that a classifier is trained on",
    )
    augmentation_updates: int = field(
        2_000,
        at_least=1,
        used_by=metric("augmentation"),
        doc="training steps of the classifier",
    )
    figures: str = field("png", doc="format of figures: png, pdf, svg (the PNG files stay)")
    projection: str = field(
        "pca", doc="of the map of the codes: pca, tsne, umap (needs the package umap-learn)"
    )
    compression_examples: int = field(
        100,
        at_least=2,
        used_by=metric("compression"),
        doc="test examples to encode",
    )

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics; on the command line they are one string, "likelihood,gap"."""
        return tuple(name.strip() for entry in self.metrics for name in entry.split(","))
