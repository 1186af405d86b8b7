"""The VampPrior, the IWAE and the sequence model of the benchmarks are the same for all."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import flops, layers, sequences
from benchmarks.contestants.ours import make_source
from benchmarks.tasks import IWAE, SEQUENCE, TASKS, VAMP
from vae_jax.experiment import builders

BATCH = 4
GRUS = {  # those of PyTorch -> ours
    "encoder.{}_l0": "encoder/network/forward_0",
    "encoder.{}_l0_reverse": "encoder/network/backward_0",
    "decoder.{}_l0": "likelihood/decoder/recurrent_0",
}


@functools.cache
def ours(name):
    """The loss as a function of flat parameters, the batch, and the shapes of the parameters."""
    task = TASKS[name]
    config = task.make_config()
    source = make_source(task, 2 * BATCH)
    model = builders.build_model(config, source.shape)
    batch = source.take(jnp.arange(BATCH), jax.random.key(1))
    key = jax.random.key(0)
    shapes = jax.eval_shape(model.init, key, batch["x"], key)["params"]
    paths, structure = jax.tree_util.tree_flatten_with_path(shapes)
    names = ["/".join(entry.key for entry in path) for path, _ in paths]
    loss_fn = builders.build_loss(config, model, source.num_examples)

    def loss(flat):
        params = jax.tree.unflatten(structure, [flat[name] for name in names])
        return loss_fn({"params": params}, batch, key, jnp.int32(0))[0]

    return loss, batch, dict(zip(names, (leaf for _, leaf in paths), strict=True))


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_ours_has_the_settings_of_the_task(task):
    config = task.make_config()
    assert config.optimizer.learning_rate == task.learning_rate
    assert config.train.batch_size == task.batch_size
    weight = config.objective.commitment if task.network == "vqvae" else config.objective.beta
    assert weight == task.beta
    assert config.objective.beta_schedule == "constant"


@pytest.mark.parametrize("name", ["vamp", "iwae50", "sequence"])
def test_ours_has_a_loss(name):
    loss, batch, shapes = ours(name)
    assert len(batch["x"]) == BATCH
    assert jax.eval_shape(loss, shapes).shape == ()


@pytest.mark.parametrize("task", [VAMP, IWAE], ids=lambda task: task.name)
def test_operations_agree_with_xla(task):
    loss, _, shapes = ours(task.name)
    per_example = jax.jit(jax.grad(loss)).lower(shapes).cost_analysis()["flops"] / BATCH
    expected = task.training_flops
    if task is VAMP:  # 500 pseudo-inputs in a batch of 4 instead of 100
        encoder = sum(layers.VAMP[:3])
        expected += 6 * encoder * (500 // BATCH - 5)
    assert expected == pytest.approx(per_example, rel=0.08)
    assert expected < per_example  # which counts activations and losses too


def test_operations_of_the_sequence_model_by_hand():
    states = 48 * (2 * 256 * 768 + 512 * 1536)
    once = 512 * 64 + 32 * 512 + 32 * 1536
    assert SEQUENCE.training_flops == 6 * (states + once + 48 * 512 * 32)
    assert flops.training((flops.lookup(), 7)) == 6 * 7


def test_sequences_have_one_length():
    x = sequences.tokens(500)
    assert (x.shape, x.dtype) == ((500, sequences.LENGTH), np.uint8)
    assert (x[:, -1] == sequences.END).all()
    assert set(np.unique(x[:, :-1])) == set(range(2, sequences.NUM_TOKENS))


def dense(flat, path):
    return flat[f"{path}/kernel"].T, flat[f"{path}/bias"]


def to_torch_mlp(flat):
    """Our parameters, or their gradients, by the names and in the layout of PyTorch."""
    head = [np.concatenate(pair) for pair in zip(*posterior(flat), strict=True)]
    affine = {
        "encoder.0": dense(flat, "encoder/Dense_0"),
        "encoder.2": dense(flat, "encoder/Dense_1"),
        "encoder.4": head,
        "decoder.0": dense(flat, "decoder/Dense_0"),
        "decoder.2": dense(flat, "decoder/Dense_1"),
        "decoder.4": dense(flat, "likelihood/EventLayer_0/out"),
    }
    arrays = {
        f"{name}.{kind}": array
        for name, pair in affine.items()
        for kind, array in zip(("weight", "bias"), pair, strict=True)
    }
    if "prior/raw_inputs" in flat:
        arrays["pseudo_inputs"] = flat["prior/raw_inputs"].reshape(500, 784)
    return arrays


def posterior(flat):
    return dense(flat, "posterior/mean"), dense(flat, "posterior/logvar")


def to_torch_sequence(flat):
    """The same; biases that one side has twice are zero in one of the two places."""
    head = [np.concatenate(pair) for pair in zip(*posterior(flat), strict=True)]
    arrays = {
        "tokens.weight": flat["encoder/network/embedding"],
        "past.weight": flat["likelihood/decoder/embedding"],
        "posterior.weight": head[0],
        "posterior.bias": head[1],
    }
    for theirs, path in (("initial", "initial_0"), ("logits", "logits/affine")):
        pair = dense(flat, f"likelihood/decoder/{path}")
        arrays |= {f"{theirs}.weight": pair[0], f"{theirs}.bias": pair[1]}
    for theirs, path in GRUS.items():
        bias = flat[f"{path}/bias"]
        arrays |= {
            theirs.format("weight_ih"): flat[f"{path}/input_kernel"].T,
            theirs.format("weight_hh"): flat[f"{path}/kernel"].T,
            theirs.format("bias_ih"): flat[f"{path}/input_bias"],
            theirs.format("bias_hh"): np.concatenate([np.zeros(2 * len(bias), np.float32), bias]),
        }
    context = flat["likelihood/decoder/recurrent_0/context/condition/kernel"].T
    inputs = arrays["decoder.weight_ih_l0"]
    return arrays | {"decoder.weight_ih_l0": np.concatenate([inputs, context], axis=1)}


CONTEXT_BIAS = "likelihood/decoder/recurrent_0/context/condition/bias"
TO_TORCH = {"vamp": to_torch_mlp, "iwae50": to_torch_mlp, "sequence": to_torch_sequence}


@pytest.mark.parametrize("name", TO_TORCH)
def test_pytorch_has_the_same_loss_and_gradients(name, monkeypatch):
    torch = pytest.importorskip("torch")
    from benchmarks.torch_models import make

    task, rng = TASKS[name], np.random.default_rng(1)
    loss, batch, shapes = ours(name)
    flat = {key: rng.normal(0, 0.1, leaf.shape).astype(np.float32) for key, leaf in shapes.items()}
    flat["posterior/logvar/bias"] -= 3.0  # near the middle of the soft bounds that ours has
    flat["posterior/logvar/kernel"] *= 0.1
    if CONTEXT_BIAS in flat:
        flat[CONTEXT_BIAS] *= 0
    noise = []

    def normal(key, shape, dtype=jnp.float32):
        noise.append(rng.normal(size=shape).astype(np.float32))
        return jnp.asarray(noise[-1], dtype)

    monkeypatch.setattr(jax.random, "normal", normal)
    value, grads = jax.jit(jax.value_and_grad(loss))(flat)
    [noise] = noise
    model = make(task.network, task.beta)
    arrays = TO_TORCH[name](flat)
    model.load_state_dict({key: torch.tensor(array) for key, array in arrays.items()})
    x = torch.tensor(np.array(batch["x"]))
    x = x.long() if task.num_tokens else x.permute(0, 3, 1, 2)
    theirs = model.loss(x, torch.tensor(noise if name == "iwae50" else noise[0]))
    theirs.backward()
    assert float(value) == pytest.approx(theirs.item(), rel=1e-5)
    for key, expected in TO_TORCH[name]({k: np.array(grad) for k, grad in grads.items()}).items():
        size = 2 * len(expected) // 3 if ".bias_hh" in key else 0  # biases that ours lacks
        actual = dict(model.named_parameters())[key].grad.numpy()[size:]
        scale = np.abs(expected).max()
        np.testing.assert_allclose(actual, expected[size:], rtol=1e-3, atol=5e-4 * scale)


@pytest.mark.parametrize("name", TO_TORCH)
def test_pytorch_has_the_same_parameters(name):
    torch = pytest.importorskip("torch")
    from benchmarks.torch_models import make

    task, (_, _, shapes) = TASKS[name], ours(name)
    size = sum(math.prod(leaf.shape) for leaf in shapes.values())
    if name == "sequence":  # the biases of the gates r and u twice, and no bias of the context
        size += 2 * (2 * 256 + 512) - 3 * 512
    with torch.device("meta"):
        model = make(task.network, task.beta)
    assert sum(p.numel() for p in model.parameters()) == size


@pytest.mark.parametrize("name", TO_TORCH)
def test_pytorch_does_the_same_operations(name):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.torch_models import make

    task = TASKS[name]
    model = make(task.network, task.beta)
    x = torch.from_numpy(task.examples(task.batch_size))
    x = x.long() if task.num_tokens else x.permute(0, 3, 1, 2).float() / 255
    with FlopCounterMode(display=False) as counter:
        model(x).backward()
    expected = task.training_flops
    if task.num_tokens:  # the embeddings and z are multiplied at each step
        expected += 6 * (48 * (2 * 64 * 768 + 64 * 1536) + 47 * 32 * 1536)
    assert counter.get_total_flops() / task.batch_size == pytest.approx(expected, rel=0.03)
