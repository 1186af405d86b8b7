"""The fields of a config that select the objective and its hyper-parameters."""

import dataclasses

from vae_jax.config.metadata import field
from vae_jax.config.rules import Condition, none_of, objective, one_of

HIERARCHY = one_of("model.kind", "hierarchical") & objective("elbo")
SCHEDULE = none_of("objective.beta_schedule", "constant")
CODEBOOK_LOSS = objective("vq") & one_of("codes.quantizer", "vq")
CAPACITY = Condition("objective.capacity above 0", lambda config: config.objective.capacity > 0)


@dataclasses.dataclass
class Objective:
    """The function that training minimizes."""

    name: str = field("elbo", doc="loss or bound, see `vae_jax.objectives`")
    num_samples: int = field(
        1, at_least=1, used_by=none_of("model.kind", "vq"), doc="K, samples of z per example"
    )
    beta: float = field(
        1.0, at_least=0, used_by=objective("elbo"), sweep=True, doc="final weight of the rate"
    )
    beta_schedule: str = field(
        "constant",
        used_by=objective("elbo"),
        doc="weight of the rate over time, from beta_start to beta",
    )
    beta_start: float = field(
        0.0, at_least=0, used_by=SCHEDULE, sweep=True, doc="weight of the rate at step 0"
    )
    beta_steps: int = field(
        0,
        at_least=0,
        used_by=SCHEDULE,
        ends_schedule=True,
        sweep=True,
        doc="length of the schedule of beta",
    )
    beta_cycles: int = field(
        4,
        at_least=1,
        used_by=one_of("objective.beta_schedule", "cyclical"),
        sweep=True,
        doc="number of cycles",
    )
    free_bits: float = field(
        0.0,
        off=0,
        at_least=0,
        used_by=objective("elbo"),
        sweep=True,
        doc="nats per latent dimension, on the batch mean",
    )
    layer_free_bits: float = field(
        0.0,
        off=0,
        at_least=0,
        used_by=HIERARCHY,
        sweep=True,
        doc="nats per layer of a hierarchy, on the batch mean",
    )
    kl_balancing: float = field(
        0.0,
        off=0,
        at_least=0,
        at_most=1,
        used_by=HIERARCHY,
        sweep=True,
        doc="balance of the layers of a hierarchy; decays to 0 over beta_steps",
    )
    capacity: float = field(
        0.0,
        off=0,
        at_least=0,
        used_by=objective("elbo"),
        sweep=True,
        doc="final C of beta |R - C|, nats",
    )
    capacity_steps: int = field(
        0,
        at_least=0,
        used_by=CAPACITY,
        ends_schedule=True,
        sweep=True,
        doc="steps over which C grows linearly from 0",
    )
    corruption: str = field(
        "none",
        doc="noise on the encoder's input, in training",
    )
    corruption_level: float = field(
        0.0,
        at_least=0,
        used_by=none_of("objective.corruption", "none"),
        sweep=True,
        doc="standard deviation or rate",
    )
    num_groups: int = field(
        1,
        at_least=1,
        used_by=objective("miwae", "piwae"),
        doc="groups of num_samples / num_groups samples each",
    )
    ciwae_weight: float = field(
        0.5,
        at_least=0,
        at_most=1,
        used_by=objective("ciwae"),
        sweep=True,
        doc="weight of the ELBO",
    )
    renyi_alpha: float = field(
        0.5, at_least=0, used_by=objective("renyi"), sweep=True, doc="order of the divergence"
    )
    mi_weight: float = field(
        1.0,
        at_least=0,
        used_by=objective("beta_tc"),
        sweep=True,
        doc="weight of the index-code mutual information",
    )
    tc_weight: float = field(
        6.0,
        at_least=0,
        used_by=objective("beta_tc", "factor"),
        sweep=True,
        doc="weight of the total correlation",
    )
    dim_weight: float = field(
        1.0,
        at_least=0,
        used_by=objective("beta_tc"),
        sweep=True,
        doc="weight of the dimension-wise KL",
    )
    stratified: bool = field(
        True,
        used_by=objective("beta_tc"),
        doc="minibatch estimator: stratified instead of weighted",
    )
    critic_hidden: tuple[int, ...] = field(
        (256, 256, 256),
        at_least=1,
        used_by=objective("factor"),
        doc="widths of the critic",
    )
    dip_kind: int = field(1, at_least=1, at_most=2, used_by=objective("dip"), doc="DIP-VAE I or II")
    off_diagonal_weight: float = field(
        10.0,
        at_least=0,
        used_by=objective("dip"),
        sweep=True,
        doc="weight of the off-diagonal covariances",
    )
    diagonal_weight: float = field(
        0.0,
        at_least=0,
        used_by=objective("dip"),
        sweep=True,
        doc="weight of the variances' distance to 1; 0: the paper's, 10 times off_diagonal_weight "
        "for dip_kind 1 and the same for 2",
    )
    info_alpha: float = field(
        0.0,
        at_most=1,
        used_by=objective("info"),
        sweep=True,
        doc="1 - alpha is the weight of the rate",
    )
    mmd_weight: float = field(
        10.0,
        at_least=0,
        used_by=objective("info", "wae"),
        sweep=True,
        doc="weight of the MMD",
    )
    kernel: str = field(
        "imq", used_by=objective("info", "wae"), doc="kernel of the MMD, on a sum of scales"
    )
    classifier_weight: float = field(
        50.0,
        at_least=0,
        used_by=objective("m2"),
        sweep=True,
        doc="weight of the cross-entropy of each labeled example",
    )
    codebook_weight: float = field(
        1.0,
        at_least=0,
        used_by=CODEBOOK_LOSS & one_of("codes.ema", False),
        sweep=True,
        doc="weight of the codebook loss, without ema",
    )
    commitment: float = field(
        0.25,
        at_least=0,
        used_by=CODEBOOK_LOSS,
        sweep=True,
        doc="weight of the commitment loss",
    )
