"""Dataclasses as pytrees."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


def test_a_compiled_function_runs_the_program_of_the_class():
    """Fails on JAX 0.10.2 with `jax.tree_util.register_dataclass`: some get another program."""

    def make(index):
        fields = {"__annotations__": {"x": Array}, "index": index}
        return pytree_dataclass(type(f"Class{index}", (), fields))

    classes = [make(index) for index in range(100)]
    x = jnp.zeros(2)
    index_of = jax.jit(lambda node: node.x.shape[0] * type(node).index)
    assert [int(index_of(cls(x))) for cls in classes] == list(range(0, 200, 2))


def test_a_field_that_is_no_argument_is_refused():
    with pytest.raises(TypeError, match=r"Cached\.norm: init=False"):

        @pytree_dataclass
        class Cached:
            x: Array
            norm: Array = dataclasses.field(init=False)


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
