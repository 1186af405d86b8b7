"""Agreement of codes across seeds: unsupervised disentanglement ranking (UDR)."""

from collections.abc import Mapping, Sequence

from vae_jax.evaluation import Terms
from vae_jax.experiment.metrics.context import Numbers

UDR = "udr"  # a metric of a sweep, not of its trials


def agreement(groups: Mapping[str, Sequence[Terms]], *, method: str = "lasso") -> Numbers:
    """UDR of models that differ only in their seed, by setting of the other swept fields.

    `groups` has the terms of each model on the validation split.
    """
    from vae_jax.evaluation.disentanglement import udr  # slow to import

    scores = {}
    for name, models in groups.items():
        values = udr(
            [terms.code for terms in models], [terms.kl.mean(0) for terms in models], method=method
        )
        scores[name] = {
            "mean": float(values.mean()),
            "deviation": float(values.std(ddof=1)),
            "models": values.tolist(),
        }
    num_examples = len(next(iter(groups.values()))[0].code)
    return {
        "estimator": f"unsupervised disentanglement ranking by {method}, posterior means of "
        f"{num_examples} validation examples; the deviation is over models that differ in their "
        "seed",
        "num_examples": num_examples,
        **scores,
    }
