"""Export of trained models: parameters as safetensors, and programs that run without the package.

A folder has four or five files:

  manifest.json       what the programs take and return, by name
  params.safetensors  parameters by path, such as 'params/encoder/Dense_0/kernel'
  encoder.bin         serialised `jax.export` program (parameters, inputs) -> outputs
  decoder.bin         the same
  config.json         the config of the run, if there is one

https://docs.jax.dev/en/latest/export/export.html
"""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.export  # not loaded by `import jax`
import jax.numpy as jnp
from flax import traverse_util

from vae_jax.data.optional import import_flatbuffers, import_safetensors
from vae_jax.distributions import DiagGaussian, Distribution
from vae_jax.errors import UnsupportedError, check_range
from vae_jax.files import as_path, to_json, write_folder
from vae_jax.models.saving import check_free
from vae_jax.models.trained import TrainedModel
from vae_jax.nets.attributes import read_attribute
from vae_jax.types import Array

MANIFEST, PARAMS, CONFIG = "manifest.json", "params.safetensors", "config.json"
ENCODER, DECODER = "encoder.bin", "decoder.bin"
FILES = (MANIFEST, PARAMS, CONFIG, ENCODER, DECODER)
FORMAT = 1
PLATFORMS = ("cpu", "cuda", "tpu")
ANY = "n"  # the size of a batch of any size
BATCH_SIZE = 32  # of a program that cannot have any

Arrays = dict[str, Array]
Program = Callable[[Arrays, Arrays], Arrays]


def export(
    model: TrainedModel,
    folder: str | os.PathLike,
    *,
    batch_size: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write a model to a new folder, whole or not at all; see `vae_jax.export`."""
    path = as_path(folder, "folder")
    check_free(path, FILES, "an exported model", overwrite=overwrite)
    if batch_size is not None:
        check_range("batch_size", batch_size, 1)
    import_flatbuffers()
    safetensors = import_safetensors()
    params = jax.device_get(traverse_util.flatten_dict(dict(model.params), sep="/"))
    shape, y = _event_shape(model), _example_labels(model)
    inputs = {"x": jax.ShapeDtypeStruct((1, *shape), jnp.float32)} | y
    if model.inputs is not None and model.inputs.missing:
        inputs["observed"] = jax.ShapeDtypeStruct((1, *shape), jnp.bool_)
    encode, decode = _encoder(model), _decoder(model)
    latent = jax.eval_shape(encode, params, inputs)["z"]
    encoder, taken = _serialize(encode, params, inputs, batch_size)
    decoder, given = _serialize(decode, params, {"z": latent} | y, batch_size)
    manifest = {
        "format": FORMAT,
        "model": type(model.model).__name__,
        "likelihood": type(model.model.likelihood).__name__,
        "platforms": list(PLATFORMS),
        "jax": jax.__version__,
        "inputs": None if model.inputs is None else dataclasses.asdict(model.inputs),
        "encoder": taken,
        "decoder": given,
    }
    files = {
        PARAMS: safetensors.save(params),
        ENCODER: encoder,
        DECODER: decoder,
    }
    if model.config is not None:
        files[CONFIG] = to_json(dataclasses.asdict(model.config))
    write_folder(path, files | {MANIFEST: to_json(manifest)})


def _event_shape(model: TrainedModel) -> tuple[int, ...]:
    shape = read_attribute(model.model.likelihood, "event_shape")
    if shape is None and model.inputs is not None:
        shape = model.inputs.shape
    if shape is None:
        raise UnsupportedError(
            "export: the shape of x is unknown; the likelihood has no event_shape, and the model "
            "has no inputs"
        )
    return tuple(shape)


def _example_labels(model: TrainedModel) -> dict[str, jax.ShapeDtypeStruct]:
    """The labels of one example of a conditional model."""
    conditioning = model.model.conditioning
    if conditioning is None:
        return {}
    if not hasattr(conditioning, "example"):
        raise UnsupportedError(
            f"export: the shape of y is unknown; {type(conditioning).__name__} has no method "
            "`example`, as vae_jax.nets.OneHot has"
        )
    return {"y": jax.eval_shape(lambda: conditioning.example(1))}


def _encoder(trained: TrainedModel) -> Program:
    is_text = trained.inputs is not None and trained.inputs.text is not None

    def encode(params: Arrays, inputs: Arrays) -> Arrays:
        x, y, observed = inputs["x"], inputs.get("y"), inputs.get("observed")
        if is_text:
            observed = x > 0
        elif observed is not None:
            x = jnp.where(observed, x, 0)
        tree = traverse_util.unflatten_dict(params, sep="/")
        q = trained.model.apply(tree, x, y=y, observed=observed, method="encode")
        outputs = {"z": q.center}
        return outputs | ({"z_stddev": q.stddev} if isinstance(q, DiagGaussian) else {})

    return encode


def _decoder(trained: TrainedModel) -> Program:
    def decode(params: Arrays, inputs: Arrays) -> Arrays:
        tree = traverse_util.unflatten_dict(params, sep="/")
        p = trained.model.apply(tree, inputs["z"], y=inputs.get("y"), method="decode")
        return {"x": p.center} | _parameters(p)

    return decode


def _parameters(p: Distribution) -> Arrays:
    """The arrays of p(x | z) by path, such as 'p.logits'; none if entries depend on each other."""
    if not p.factorized:
        return {}
    leaves = jax.tree_util.tree_leaves_with_path(p)
    return {f"p{jax.tree_util.keystr(path)}": leaf for path, leaf in leaves}


def _serialize(
    program: Program,
    params: Arrays,
    inputs: Mapping[str, jax.ShapeDtypeStruct],
    batch_size: int | None,
) -> tuple[bytes, dict[str, Any]]:
    """The serialized program, for a batch of any size if possible, and its entry of the manifest.

    Args:
      program: (parameters, inputs) -> outputs.
      params: the parameters.
      inputs: shapes for one example.
      batch_size: None for any, or `BATCH_SIZE` if the program needs a number.
    """
    if batch_size is None:
        size = jax.export.symbolic_shape(ANY)[0]
        try:
            exported = _export(program, params, inputs, size)
        except Exception:  # many types, if it needs the size as a number
            return _serialize(program, params, inputs, BATCH_SIZE)
    else:
        exported = _export(program, params, inputs, batch_size)
    (_, taken), _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
    returned = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    entry = {"batch_size": batch_size, "inputs": _describe(taken), "outputs": _describe(returned)}
    return bytes(exported.serialize()), entry


def _export(
    program: Program,
    params: Arrays,
    inputs: Mapping[str, jax.ShapeDtypeStruct],
    batch_size: Any,
) -> jax.export.Exported:
    batch = {
        name: jax.ShapeDtypeStruct((batch_size, *one.shape[1:]), one.dtype)
        for name, one in inputs.items()
    }
    return jax.export.export(jax.jit(program), platforms=PLATFORMS)(params, batch)


def _describe(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The shape, with 'n' for the size of the batch, and the dtype of each array by name."""
    return {
        name: {
            "shape": [size if isinstance(size, int) else str(size) for size in array.shape],
            "dtype": str(array.dtype),
        }
        for name, array in arrays.items()
    }
