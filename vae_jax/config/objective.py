"""The fields of a config that select the objective and its hyper-parameters."""

import dataclasses
import functools

from vae_jax.config.metadata import AUTO, field
from vae_jax.config.rules import Condition, none_of, objective, one_of

HIERARCHY = one_of("model.kind", "hierarchical") & objective("elbo")
SCHEDULE = none_of("objective.beta_schedule", "constant")
CODEBOOK_LOSS = objective("vq") & one_of("codes.quantizer", "vq")
CAPACITY = Condition("objective.capacity above 0", lambda config: config.objective.capacity > 0)

_elbo = functools.partial(field, at_least=0, used_by=objective("elbo", "property"), sweep=True)
_tc = functools.partial(field, at_least=0, used_by=objective("beta_tc"), sweep=True)
_dip = functools.partial(field, at_least=0, used_by=objective("dip"), sweep=True)
_scalar = functools.partial(field, at_least=0, sweep=True)


@dataclasses.dataclass
class ObjectiveConfig:
    """The function that training minimizes."""

    name: str = field("elbo", "loss or bound, see `vae_jax.objectives`")
    num_samples: int = field(
        1, "K, samples of z per example", at_least=1, used_by=none_of("model.kind", "vq")
    )
    beta: float = _elbo(1.0, "final weight of the rate")
    beta_schedule: str = field(
        "constant",
        "weight of the rate over time, from beta_start to beta",
        used_by=objective("elbo", "property"),
    )
    beta_start: float = _scalar(0.0, "weight of the rate at step 0", used_by=SCHEDULE)
    beta_steps: int = _scalar(
        0, "length of the schedule of beta", used_by=SCHEDULE, ends_schedule=True
    )
    beta_cycles: int = field(
        4,
        "number of cycles",
        at_least=1,
        used_by=one_of("objective.beta_schedule", "cyclical"),
        sweep=True,
    )
    free_bits: float = _elbo(0.0, "nats per latent dimension, on the batch mean", off=0)
    layer_free_bits: float = _scalar(
        0.0, "nats per layer of a hierarchy, on the batch mean", off=0, used_by=HIERARCHY
    )
    kl_balancing: float = _scalar(
        0.0,
        "balance of the layers of a hierarchy; decays to 0 over beta_steps",
        off=0,
        at_most=1,
        used_by=HIERARCHY,
    )
    capacity: float = _elbo(0.0, "final C of beta |R - C|, nats", off=0)
    capacity_steps: int = _scalar(
        0, "steps over which C grows linearly from 0", used_by=CAPACITY, ends_schedule=True
    )
    corruption: str = field("none", "noise on the encoder's input, in training")
    corruption_level: float = _scalar(
        0.0, "standard deviation or rate", used_by=none_of("objective.corruption", "none")
    )
    token_dropout: float = _scalar(
        0.0,
        "share of the earlier tokens that the decoder does not see, in training",
        off=0,
        at_most=1,
        used_by=one_of("model.likelihood", "tokens", AUTO),
    )
    num_groups: int = field(
        1,
        "groups of num_samples / num_groups samples each",
        at_least=1,
        used_by=objective("miwae", "piwae"),
    )
    ciwae_weight: float = _scalar(0.5, "weight of the ELBO", at_most=1, used_by=objective("ciwae"))
    renyi_alpha: float = _scalar(0.5, "order of the divergence", used_by=objective("renyi"))
    mi_weight: float = _tc(1.0, "weight of the index-code mutual information")
    tc_weight: float = _scalar(
        6.0, "weight of the total correlation", used_by=objective("beta_tc", "factor")
    )
    dim_weight: float = _tc(1.0, "weight of the dimension-wise KL")
    stratified: bool = field(
        True, "minibatch estimator: stratified instead of weighted", used_by=objective("beta_tc")
    )
    critic_hidden: tuple[int, ...] = field(
        (256, 256, 256), "widths of the critic", at_least=1, used_by=objective("factor")
    )
    dip_kind: int = field(1, "DIP-VAE I or II", at_least=1, at_most=2, used_by=objective("dip"))
    off_diagonal_weight: float = _dip(10.0, "weight of the off-diagonal covariances")
    diagonal_weight: float = _dip(
        0.0,
        "weight of the variances' distance to 1; 0: the paper's, 10 times off_diagonal_weight "
        "for dip_kind 1 and the same for 2",
    )
    info_alpha: float = field(
        0.0, "1 - alpha is the weight of the rate", at_most=1, used_by=objective("info"), sweep=True
    )
    mmd_weight: float = _scalar(10.0, "weight of the MMD", used_by=objective("info", "wae"))
    kernel: str = field(
        "imq", "kernel of the MMD, on a sum of scales", used_by=objective("info", "wae")
    )
    classifier_weight: float = _scalar(
        50.0, "weight of the cross-entropy of each labeled example", used_by=objective("m2")
    )
    property_weight: float = _scalar(
        1.0, "weight of the squared error of the property", used_by=objective("property")
    )
    regressor_hidden: tuple[int, ...] = field(
        (256,), "widths of the regression from z", at_least=1, used_by=objective("property")
    )
    codebook_weight: float = _scalar(
        1.0,
        "weight of the codebook loss, without ema",
        used_by=CODEBOOK_LOSS & one_of("codes.ema", False),
    )
    commitment: float = _scalar(0.25, "weight of the commitment loss", used_by=CODEBOOK_LOSS)
