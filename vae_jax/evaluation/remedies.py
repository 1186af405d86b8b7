"""Remedies of a collapse, by the settings of model and training.

Lucas et al., 2019, arXiv:1911.02469 (the role of the decoder variance); Bowman et al., 2016,
arXiv:1511.06349 (warm-up; word dropout, here token dropout); Kingma et al., 2016, arXiv:1606.04934
(free bits); Chen et al., 2017, arXiv:1611.02731 (decoders that need no z).
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Setting:
    """The settings on which the remedies depend.

    Attributes:
      has_latents: False for a control whose decoder gets no z.
      expressive_decoder: the decoder can model x without z, e.g. it is autoregressive.
      reads_tokens: what it is given besides z are the tokens before each one.
      fixed_sigma: the likelihood has a scale that is not learned.
      shared_sigma: one scale for all dimensions, learned or not.
      warm_up: training already used a warm-up of beta, or free bits.
      beta: weight of the rate in the objective.
      weight_name: name of this weight.
      current_weight: the weight at the step of the terms, if a schedule has not ended; else None.
      code_gain: nats that log p(x | z) falls by at the code of another example, if known.
      importance_samples: K of the bound on log p(x) that was maximized; 1: the ELBO.
    """

    has_latents: bool = True
    expressive_decoder: bool = False
    reads_tokens: bool = False
    fixed_sigma: bool = False
    shared_sigma: bool = False
    warm_up: bool = False
    beta: float = 1.0
    weight_name: str = "beta"
    current_weight: float | None = None
    code_gain: float | None = None
    importance_samples: int = 1


def find_remedy(setting: Setting) -> str:
    """The first remedy if latents are not used."""
    if setting.beta > 1:
        return f"Lower {setting.weight_name}, which is {setting.beta:g}."
    if setting.reads_tokens:
        return (
            "The decoder models x without z: use token dropout, free bits, or a weight of the rate "
            f"below {setting.beta:g}."
        )
    if setting.expressive_decoder:
        return "The decoder models x without z: use a smaller receptive field, or free bits."
    if setting.fixed_sigma:
        return "The fixed sigma of the likelihood may be too large: learn it."
    if not setting.warm_up:
        return "Warm up beta linearly from 0 over the first steps, or use free bits."
    return "Lower beta, or use more free bits."


def remedy_of_silence(setting: Setting) -> str:
    """The first remedy if the decoder does not use the codes that the rate pays for."""
    if setting.reads_tokens and setting.beta <= 1:
        return "The decoder does not listen to z: train longer, or use token dropout."
    return find_remedy(setting)


def remedy_of_bound(setting: Setting, *, is_costly: bool = False) -> str:
    """The first remedy if the bound is below the baseline; `is_costly`: by its rate alone."""
    if setting.beta > 1:
        return f"Lower {setting.weight_name}, which is {setting.beta:g}."
    if setting.beta < 1 and is_costly:
        return f"Raise {setting.weight_name}, which is {setting.beta:g}."
    return train_longer(setting)


def train_longer(setting: Setting) -> str:
    """The remedy for a model that knows less than frequencies of training."""
    if setting.reads_tokens:
        return "Train longer, or raise the learning rate."
    return "Train longer, raise the learning rate, or check the scale of the data."


def describe_weight(setting: Setting) -> str:
    """The weight of the rate in training, if it is not 1, as it was at the step of the terms."""
    name, current = setting.weight_name.rpartition(".")[-1], setting.current_weight
    if current is not None:
        return f" at {name} = {current:.3g}, whose schedule ends at {setting.beta:g}"
    return "" if setting.beta == 1 else f" at {name} = {setting.beta:g}"
