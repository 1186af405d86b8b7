"""Dataclasses as pytrees."""

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.distributions import Bernoulli, Deterministic
from vae_jax.types import Array, pytree_dataclass, static


@pytree_dataclass
class Sum:
    first: Array
    size: int = static()
    second: Array | None = None


@pytree_dataclass
class Difference:
    first: Array
    size: int = static()
    second: Array | None = None


def test_classes_with_the_same_fields_have_different_structures():
    x = jnp.ones(3)
    assert jax.tree.structure(Sum(x, 2)) == jax.tree.structure(Sum(x + 1, 2))
    assert jax.tree.structure(Sum(x, 2)) != jax.tree.structure(Sum(x, 3))
    assert jax.tree.structure(Sum(x, 2)) != jax.tree.structure(Sum(x, 2, x))
    # A compiled function looks its programs up by them.
    assert jax.tree.structure(Sum(x, 2)) != jax.tree.structure(Difference(x, 2))
    assert jax.tree.structure(Bernoulli(x)) != jax.tree.structure(Deterministic(x))


def test_nodes_are_mapped_and_their_leaves_are_named():
    node = jax.tree.map(lambda x: x + 1, Sum(jnp.zeros(2), 5, jnp.ones(3)))
    assert node.size == 5
    np.testing.assert_array_equal(node.first, np.ones(2))
    np.testing.assert_array_equal(node.second, np.full(3, 2))
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(node)]
    assert paths == [".first", ".second"]


def test_a_node_passes_through_a_compiled_function():
    node = jax.jit(lambda node: node)(Sum(jnp.arange(3), 4))
    assert (type(node), node.size, node.second) == (Sum, 4, None)
    np.testing.assert_array_equal(node.first, np.arange(3))
