"""Contracts: methods of models with their parameters, and attributes of parts."""

import inspect

import pytest
from flax import linen as nn

from vae_jax import likelihoods
from vae_jax.models import VAE, VQVAE, Hierarchical, Stacked
from vae_jax.models.base import (
    ClassifierModel,
    CodeModel,
    CriticModel,
    HierarchicalModel,
    LatentModel,
    Model,
)
from vae_jax.nets.attributes import DEFAULTS, read_attribute

PROTOCOLS = {
    VAE: (Model, LatentModel, CriticModel, ClassifierModel),
    Hierarchical: (Model, LatentModel, HierarchicalModel, ClassifierModel),
    Stacked: (Model, LatentModel, HierarchicalModel, ClassifierModel),
    VQVAE: (Model, CodeModel),
}
PAIRS = [(model, protocol) for model, protocols in PROTOCOLS.items() for protocol in protocols]


def members(protocol):
    """The protocol's own methods and attributes, and those of the protocols below it."""
    classes = [c for c in protocol.__mro__ if c.__module__ == Model.__module__]
    names = set().union(*(vars(c) for c in classes))
    names |= set().union(*(inspect.get_annotations(c) for c in classes))
    dunder = {"__call__"}
    return sorted(n for n in names if n in dunder or not n.startswith("_"))


def parameters(function):
    return [
        (p.name, p.kind, p.default)
        for p in inspect.signature(inspect.unwrap(function)).parameters.values()
    ]


def test_every_protocol_has_members():
    for _, protocol in PAIRS:
        assert {"infer", "outputs", "encode", "decode", "generate"} <= set(members(protocol))


@pytest.mark.parametrize(("model", "protocol"), PAIRS)
def test_a_model_satisfies_its_protocols(model, protocol):
    fields = model.__dataclass_fields__
    for name in members(protocol):
        assert name in fields or hasattr(model, name), name
        expected = inspect.getattr_static(protocol, name, None)
        if not inspect.isfunction(expected) or name in ("init", "apply", "clone"):
            continue
        assert parameters(getattr(model, name)) == parameters(expected), name


def test_codes_have_no_density_of_z():
    assert not any(hasattr(VQVAE, name) for name in ("log_joint", "sample_prior"))


def test_a_part_without_an_attribute_has_its_default():
    for name, default in DEFAULTS.items():
        assert read_attribute(nn.Dense(3), name) == default
        assert read_attribute(None, name) == default
    assert read_attribute(likelihoods.Categorical((3,), 16), "levels") == 16
    assert read_attribute(likelihoods.OptimalGaussian((3,)), "batch_scale")
    assert not read_attribute(likelihoods.Gaussian((3,)), "batch_scale")
