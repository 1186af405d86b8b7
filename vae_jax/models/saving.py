"""Save and load models composed by hand, without a config: JSON and msgpack in one folder."""

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import serialization

from vae_jax.data.inputs import Inputs
from vae_jax.errors import InputError
from vae_jax.files import Path, as_path, to_json, write_folder
from vae_jax.models import module_spec
from vae_jax.models.trained import TrainedModel
from vae_jax.nets.attributes import read_attribute
from vae_jax.types import Params

MODEL, PARAMS = "model.json", "params.msgpack"
FORMAT = 1
METADATA = ("step", "last_step", "selection_score", "score_name")


def save(
    model: TrainedModel | nn.Module,
    folder: str | os.PathLike,
    params: Params | None = None,
    *,
    inputs: Inputs | None = None,
    with_module: bool = True,
    overwrite: bool = False,
) -> None:
    """Write a model and its parameters to a new folder, whole or not at all; no pickle.

    `vae_jax.load` returns it. The classes of its parts are stored by the path from which they are
    imported, so own parts belong into a module that can be imported. The config of a run is not
    stored.

    Args:
      model: a `TrainedModel`, or a module and its `params`.
      folder: is created.
      params: parameters of a module.
      inputs: the form of the training data, as `Inputs.of(dataset)`, to be applied after loading.
      with_module: False: parameters alone, for ``load(folder, model=module)``.
      overwrite: replace a model saved there.

    Raises:
      InputError: the folder holds something, or a part cannot be imported by name.
    """
    if not isinstance(model, TrainedModel):
        if params is None:
            raise InputError("params = None: save a module with its parameters, or a TrainedModel")
        model = TrainedModel(model, params, inputs=inputs)
    path = as_path(folder, "folder")
    check_free(path, (MODEL, PARAMS), "a saved model", overwrite=overwrite)
    inputs = inputs or model.inputs
    description = {
        "format": FORMAT,
        "model": module_spec.to_json(model.model) if with_module else None,
        "inputs": None if inputs is None else dataclasses.asdict(inputs),
        "metadata": {name: getattr(model, name) for name in METADATA},
    }
    state = serialization.to_state_dict(jax.device_get(model.params))
    params_bytes = serialization.msgpack_serialize(state)
    write_folder(path, {PARAMS: params_bytes, MODEL: to_json(description)})


def is_saved(folder: str | os.PathLike) -> bool:
    """True if `save` has written this folder."""
    return (as_path(folder) / MODEL).exists()


def load(folder: str | os.PathLike, *, model: nn.Module | None = None) -> TrainedModel:
    """Load a model written by `save`.

    Args:
      folder: given to `save`.
      model: the module, if it is not to be rebuilt from its description.

    Raises:
      InputError: a damaged file, a part that cannot be imported, or a module that does not fit the
        parameters.
    """
    path = as_path(folder, "folder")
    description, state = _read(path)
    if model is None:
        if description["model"] is None:
            raise InputError(f"{path}: saved without its module; pass it: load(folder, model=...)")
        try:
            model = module_spec.from_json(description["model"])
        except TypeError as error:
            raise InputError(f"{path / MODEL}: a class has other fields now: {error}") from error
    inputs = description["inputs"]
    inputs = None if inputs is None else Inputs.from_json(inputs)
    params = jax.tree.map(jnp.asarray, _restore(model, state, inputs, path))
    return TrainedModel(model, params, inputs=inputs, **description["metadata"])


def check_free(path: Path, files: Sequence[str], content: str, *, overwrite: bool) -> None:
    """Raises InputError if something would be lost.

    A folder with the first of the files has the content, such as 'a saved model', which `overwrite`
    replaces if nothing but these files is there.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / files[0]).exists():
        raise InputError(
            f"folder = {os.fspath(path)!r}: exists, and holds no {content.partition(' ')[2]}"
        )
    if not overwrite:
        raise InputError(
            f"folder = {os.fspath(path)!r}: holds {content}; choose another folder, or "
            "overwrite=True"
        )
    others = sorted({entry.name for entry in path.iterdir()}.difference(files))
    if others:
        raise InputError(
            f"folder = {os.fspath(path)!r}: holds {others[0]!r} too, which would be lost; choose "
            "another folder"
        )


def _read(path: Path) -> tuple[dict[str, Any], Any]:
    """The description and the state of the parameters."""
    try:
        description = json.loads((path / MODEL).read_text())
        if description["format"] != FORMAT:
            raise InputError(f"{path}: format {description['format']}, of a later version")
        state = serialization.msgpack_restore((path / PARAMS).read_bytes())
    except InputError:
        raise
    except Exception as error:  # msgpack raises many types on a damaged file
        raise InputError(f"{path}: not a complete saved model ({error})") from error
    return description, state


def _restore(model: nn.Module, state: Any, inputs: Inputs | None, path: Path) -> Params:
    """The parameters in the structure of the module; raises InputError if they don't fit it."""
    event = read_attribute(model.likelihood, "event_shape") if inputs is None else inputs.shape
    if event is None:
        return state  # dicts all the way, which is what Flax modules have
    x = jax.ShapeDtypeStruct((1, *event), jnp.float32)
    key = jax.random.key(0)
    like = jax.eval_shape(model.init, key, x, key)
    try:
        params = serialization.from_state_dict(like, state)
    except ValueError as error:
        raise InputError(f"{path}: parameters of another module: {error}") from error
    shapes = jax.tree_util.tree_leaves_with_path(like)
    for (place, a), b in zip(shapes, jax.tree.leaves(params), strict=True):
        if a.shape != b.shape:
            name = jax.tree_util.keystr(place)
            raise InputError(
                f"{path}: parameters of another module: {name} has shape {b.shape}, the module "
                f"needs {a.shape}"
            )
    return params
