"""What models of several seeds say of each other's codes."""

from collections.abc import Mapping, Sequence

from vae_jax.evaluation import Terms
from vae_jax.experiment.metrics.context import Numbers

UDR = "udr"  # the metric that a sweep has, and no trial alone


def agreement(groups: Mapping[str, Sequence[Terms]], *, method: str = "lasso") -> Numbers:
    """UDR of models that differ in their seed alone, for each setting of what else was swept; terms are of the test set."""
    from vae_jax.evaluation.disentanglement import udr  # slow to import

    scores = {}
    for name, models in groups.items():
        found = udr(
            [terms.code for terms in models], [terms.kl.mean(0) for terms in models], method=method
        )
        scores[name] = {
            "mean": float(found.mean()),
            "deviation": float(found.std(ddof=1)),
            "models": found.tolist(),
        }
    num_examples = len(next(iter(groups.values()))[0].code)
    return {
        "estimator": f"unsupervised disentanglement ranking by {method}, posterior means of {num_examples} test examples; the "
        "deviation is that of models which differ in their seed",
        "num_examples": num_examples,
        **scores,
    }
