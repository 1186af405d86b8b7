"""Read rows, answer for each, and write one file."""

import contextlib
import dataclasses
import logging
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from vae_jax.config import Config
from vae_jax.data.inputs import Inputs
from vae_jax.data.tables.reading import is_table
from vae_jax.errors import InputError, UnsupportedError
from vae_jax.evaluation.progress import Progress
from vae_jax.experiment.jax_settings import run_settings
from vae_jax.experiment.rows import answers, writing
from vae_jax.experiment.rows.form import Form
from vae_jax.experiment.rows.imputing import impute
from vae_jax.experiment.rows.model import FinishedRun, open_run
from vae_jax.experiment.rows.options import (
    DRAWS,
    FLAG_QUANTILE,
    NUM_SAMPLES,
    TEXT_DRAWS,
    RowOptions,
)
from vae_jax.experiment.rows.output import choose_output, has_format
from vae_jax.experiment.rows.reading import Reader, Rows, SplitReader, open_array_reader
from vae_jax.experiment.rows.table_reading import cells_of_split, open_table
from vae_jax.experiment.rows.text_reading import IDENTIFIER, names_of_split, open_text
from vae_jax.experiment.rows.writing import Field, open_writer
from vae_jax.experiment.storage.workdir import read_config
from vae_jax.files import as_path, write_json
from vae_jax.models.blocks import CALL_BLOCKS, block_rows
from vae_jax.models.trained import TrainedModel
from vae_jax.nets import Vector

logger = logging.getLogger(__name__)
ROW_NAMES = ("row", "row_number", "number_of_row")  # the first that is no column of the data


@run_settings()
def answer_rows(
    mode: str, workdir: str | os.PathLike, options: RowOptions, override: Config | None = None
) -> pathlib.Path:
    """Answer for every row of the test split, or of other data, and return the written file.

    Args:
      mode: one of `options.MODES`.
      workdir: directory of a finished run.
      options: see `RowOptions`.
      override: the config with another evaluation seed or location of the data, if any.

    Raises:
      InputError: the run, the options or the data are invalid; no file is written.
    """
    options.check(mode)
    config = override or read_config(as_path(workdir))
    output = choose_output(mode, workdir, options, config)
    needs_data = mode == "score" or (options.data is None and mode != "sample")
    finished = open_run(workdir, override, with_data=needs_data)
    inputs, model = finished.model.inputs, finished.model
    if mode == "impute" and inputs.text is not None:
        raise UnsupportedError(
            "--mode=impute: lines of text have no missing values; use reconstruct or sample"
        )
    form = Form.of(inputs, model.model.likelihood, is_flat=writing.is_flat(output))
    if mode in ("impute", "reconstruct", "sample"):
        form.check_values(mode)
    # A score is computed block by block; other modes see all rows of a part at once.
    is_table = len(inputs.shape) == 1
    size = block_rows(inputs.shape) * (CALL_BLOCKS if mode == "score" or is_table else 1)
    key = jax.random.key(finished.config.evaluation.seed)
    if mode == "sample":
        _write_samples(output, finished, form, options, key)
        return output
    key_data, key_answer, key_reference = jax.random.split(key, 3)
    keeps_cells = mode == "impute" and form.is_flat
    with _open_reader(finished, options.data, key_data, output, keeps_cells) as reader:
        _check_labels(reader, model, options.data)
        form = form.rename(reader.schema)
        if reader.is_prepared:
            model = dataclasses.replace(model, checks=False)
        answer = _make_answer(mode, finished, model, form, options, (key_answer, key_reference))
        if form.text is not None:
            answer = answers.with_text(answer, form)
        _write_rows(mode, output, reader, answer, form, size)
    return output


@contextlib.contextmanager
def _open_reader(
    finished: FinishedRun, data: str | None, key: Any, output: pathlib.Path, keeps_cells: bool
) -> Iterator[Reader]:
    """Open the rows; with `keeps_cells` also as they were read, if the output has their format."""
    model = finished.model
    if data is None:
        assert finished.run is not None
        dataset = finished.run.dataset
        ids = None if dataset.row_ids is None else dataset.row_ids["test"]
        identifier = None if dataset.table is None else dataset.table.identifier
        identifier = identifier if dataset.text is None else IDENTIFIER
        cells = None
        source = os.path.expanduser(finished.config.data.path)
        if keeps_cells and dataset.table is not None and has_format(source, output):
            cells = cells_of_split(source, dataset)
        if dataset.text is not None:
            cells = names_of_split(source, dataset)
        yield SplitReader(dataset.test, key, ids, identifier, cells)
        return
    path = os.path.expanduser(data)
    if model.inputs.text is not None:
        yield open_text(path, model.inputs)
        return
    if is_table(path):
        options = {"keeps_cells": keeps_cells and has_format(path, output)}
        yield open_table(path, model.inputs, is_conditional=model.is_conditional, **options)
        return
    with open_array_reader(path, model.inputs) as reader:
        yield reader


def _check_labels(reader: Reader, model: TrainedModel, data: str | None) -> None:
    """Raises InputError if the data lack labels that the model needs."""
    if model.is_conditional and not reader.has_labels:
        where = "the test split" if data is None else f"data = {data!r}"
        table = None if model.inputs is None else model.inputs.table
        name = "an array of labels, named y or labels," if table is None else f"{table.label!r}"
        raise InputError(
            f"{where}: has no labels, and the model is conditional; add {name} with the class of "
            "each row"
        )


def _make_answer(
    mode: str,
    finished: FinishedRun,
    model: TrainedModel,
    form: Form,
    options: RowOptions,
    keys: tuple[Any, Any],
) -> answers.Answer:
    if mode == "encode":
        return answers.encode(model)
    if mode == "reconstruct":
        return answers.reconstruct(model, form)
    draws = options.draws or (DRAWS[mode] if form.text is None else TEXT_DRAWS)
    if mode == "impute":
        return impute(model, keys[0], form, draws=draws, num_imputations=options.imputations)
    quantile = FLAG_QUANTILE if options.flag_quantile is None else options.flag_quantile
    assert finished.run is not None
    size = CALL_BLOCKS * block_rows(form.shape)
    valid = finished.run.dataset.valid
    reference = answers.make_reference(
        model, valid, keys[1], draws=draws, quantile=quantile, size=size
    )
    logger.info("%s", reference)
    entries = {"step": model.step, "draws": draws, **reference.to_json(form.names)}
    write_json(finished.workdir / "score.json", entries)
    if reference.kind == "elbo" and draws > 1:
        logger.info("codes have no density, so there is no log p(x): log_px and ess are omitted")
    if reference.kind == "distortion":
        logger.info("a deterministic posterior has no rate: elbo, log_px and rate are omitted")
    return answers.score(model, keys[0], draws, reference, form)


def _write_rows(
    mode: str,
    output: pathlib.Path,
    reader: Reader,
    answer: Callable[[Rows], list[Field]],
    form: Form,
    size: int,
) -> None:
    with (
        open_writer(output) as writer,
        Progress(reader.num_rows, f"--mode={mode}", "rows") as progress,
    ):
        for rows in reader.parts(size):
            count = len(rows)
            padded = rows.pad(size) if rows.start else rows  # one compiled program for all parts
            fields = answer(padded)
            lines = len(fields[0].values) // len(padded)  # of each row
            fields = [field.take(count * lines) for field in fields]
            taken = {*form.names, *(field.name for field in fields)}
            name = reader.identifier or next(name for name in ROW_NAMES if name not in taken)
            writer.write([Field(name, np.repeat(rows.names(), lines)), *fields])
            progress.update(count)


def _write_samples(
    output: pathlib.Path,
    finished: FinishedRun,
    form: Form,
    options: RowOptions,
    key: Any,
) -> None:
    model = finished.model
    num_samples = options.num_samples or NUM_SAMPLES
    if options.temperature is not None and not model.supports("temperature"):
        raise UnsupportedError(
            f"temperature = {options.temperature:g}: the prior of this model has none; omit it"
        )
    label = parse_label(options.label, model)
    with (
        open_writer(output) as writer,
        Progress(num_samples, "--mode=sample", "rows") as progress,
    ):
        parts = answers.sample(
            model,
            key,
            form,
            num_samples=num_samples,
            size=block_rows(form.shape),
            label=label,
            temperature=options.temperature,
            means=options.means,
        )
        for fields in parts:
            count = len(fields[0].values)
            writer.write([*fields, *_label_field(label, form, count)])
            progress.update(count)


def _label_field(label: Any, form: Form, count: int) -> list[Field]:
    """The labels of samples from a conditional model."""
    if label is None:
        return []
    if label.ndim:
        return [Field("y", np.broadcast_to(label, (count, *label.shape)))]
    name = form.schema.label if form.schema is not None and form.is_flat else None
    return [Field(name or "y", np.broadcast_to(label, (count,)))]


def parse_label(label: str | None, model: TrainedModel) -> Any:
    """The condition y of all samples from its text; None for an unconditional model.

    Raises:
      InputError: missing for a conditional model, or given to another.
    """
    if not model.is_conditional:
        if label is not None:
            raise InputError(f"label = {label!r}: the model is not conditional; omit it")
        return None
    inputs: Inputs | None = model.inputs
    classes = inputs.classes if inputs is not None else ()
    if label is None:
        names = f", such as {classes[0]!r}" if classes else ""
        raise InputError(f"label: missing; the model is conditional, so give --label{names}")
    if isinstance(model.model.conditioning, Vector):
        try:
            return np.array([float(number) for number in label.split(",")], np.float32)
        except ValueError as error:
            raise InputError(f"label = {label!r}: must be numbers, separated by commas") from error
    if not label.isdigit() or label in classes:
        return np.array(label)
    number = int(label)
    return np.array(classes[number] if number < len(classes) else number)
