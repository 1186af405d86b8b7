"""The fields of a config: dataclasses with every default, its bounds and what uses it.

Strings name parts, which `vae_jax.experiment.builders` makes.
"""

import dataclasses
import math
from typing import Any

from vae_jax.config.evaluation import Evaluation
from vae_jax.config.metadata import AUTO, field, leaf_fields
from vae_jax.config.model import Codes, Hierarchy, ModelConfig
from vae_jax.config.objective import ObjectiveConfig
from vae_jax.config.rules import none_of, objective, one_of

TABLE_SETS = ("table", "penguins")  # data sets with a schema
TEXT_SETS = ("text", "molecules", "unicode_names")  # data sets of lines


@dataclasses.dataclass
class Data:
    """The data set and its preparation."""

    name: str = field(
        "digits",
        "sprites, digits, breast_cancer, penguins, molecules, unicode_names, npz, table, text, or "
        "a name of tensorflow-datasets",
    )
    dir: str = field("", "folder of tensorflow-datasets")
    path: str = field(
        "",
        "npz: an .npz, .npy or .h5 file, a folder of .npy files or of images (class by subfolder); "
        "table: a CSV or Parquet file; text: a .txt or .smi file of lines",
        used_by=one_of("data.name", "npz", "table", "text"),
    )
    schema: str = field(
        "",
        'JSON file that overrides the kinds of columns, {"columns": {"age": "student_t"}}',
        used_by=one_of("data.name", *TABLE_SETS),
    )
    alphabet: str = field(
        AUTO,
        "tokens of lines: characters, or those of molecules, smiles or selfies; auto: smiles for "
        "molecules and .smi files, else characters",
        used_by=one_of("data.name", *TEXT_SETS),
    )
    max_length: int = field(
        0,
        "tokens of the longest line that is allowed, with its end; 0: as the data need",
        at_least=0,
        used_by=one_of("data.name", *TEXT_SETS),
    )
    split_path: str = field(
        "",
        "an .npy or .npz file with the split of each line: 0 train, 1 valid, 2 test; '': cut by "
        "rule",
        used_by=one_of("data.name", *TEXT_SETS),
    )
    image_size: int = field(
        0,
        "side to which the images of a folder are resized and cropped; 0: as they are",
        at_least=0,
        used_by=one_of("data.name", "npz"),
    )
    values: str = field(
        "scaled",
        "meaning of integers; scaled: 0 to 255 become [0, 1]; counts: unchanged",
    )
    missing: bool = field(
        False,
        "NaN are missing values, and so is what is 0 in arrays train_observed, test_observed; the "
        "bound is of the observed values",
        used_by=none_of("data.name", *TEXT_SETS),
    )
    hide: float = field(
        0.0,
        "share of the observed values of all splits that is hidden on purpose, for the metric "
        "imputation",
        at_least=0,
        at_most=0.95,
        off=0,
        used_by=none_of("data.name", *TEXT_SETS),
    )
    hide_seed: int = field(
        0, "seed of the hidden values", at_least=0, used_by=none_of("data.hide", 0)
    )
    binarization: str = field(
        AUTO,
        "binarization of values in [0, 1]; auto: dynamic for images that the literature binarizes, "
        "else none",
    )
    valid_fraction: float = field(
        0.1,
        "fraction of train used for validation if the source has no validation split",
        above=0,
        at_most=0.9,
    )
    leave_out: int = field(
        -1, "a class removed from all splits, for anomaly detection; -1: none", at_least=-1
    )
    num_labels: int = field(
        0,
        "training examples that keep their label, for semi-supervised models; 0: all",
        at_least=0,
        used_by=objective("m2"),
    )
    property: str = field(
        "",
        "value of molecules that is predicted from z: logp, qed, sa or weight; empty: the labels "
        "of the data",
        used_by=objective("property"),
    )
    streaming: bool = field(
        False,
        "read training images from disk or host batch by batch; same numbers",
        used_by=none_of("data.name", *TEXT_SETS),
    )
    workers: int = field(
        0,
        "processes that read streamed images; 0: one thread",
        at_least=0,
        used_by=one_of("data.streaming", True),
    )


@dataclasses.dataclass
class Optimizer:
    """The optimizer and its learning-rate schedule."""

    name: str = field("adam", "update rule")
    learning_rate: float = field(1e-3, "peak learning rate", above=0, sweep=True)
    epsilon: float = field(
        1e-8, "constant added to the root of the second moment, in the update rule", above=0
    )
    schedule: str = field("constant", "learning rate after the warm-up; cosine and linear end at 0")
    warmup_steps: int = field(0, "steps of linear warm-up from 0", at_least=0, sweep=True)
    weight_decay: float = field(
        0.0,
        "decoupled weight decay",
        at_least=0,
        used_by=one_of("optimizer.name", "adamw"),
        sweep=True,
    )
    clip_norm: float = field(
        0.0, "maximum global norm of the gradient", at_least=0, off=0, sweep=True
    )
    ema_decay: float = field(
        0.0,
        "decay of the parameter average that evaluation uses",
        at_least=0,
        at_most=1 - 1e-7,
        sweep=True,
        off=0,
    )
    critic_rate: float = field(
        1e-4,
        "learning rate of the critic, under Adam with b1 = 0.5, b2 = 0.9",
        above=0,
        used_by=objective("factor"),
        sweep=True,
    )


MIN_VALIDATIONS = 10  # validations of a run with the default `eval_every`
MIN_CURVE_STEPS = 100  # minimum steps of a run with these validations


@dataclasses.dataclass
class Train:
    """Length of training, logging and checkpoints."""

    num_steps: int = field(2_000, "training steps", at_least=1)
    batch_size: int = field(128, "examples per step", at_least=1)
    order: str = field(
        "random",
        "order of the training data; by_length: batches of sequences of similar length, which cost "
        "less",
        used_by=one_of("data.name", *TEXT_SETS),
    )
    log_every: int = field(
        100, "steps between logs; also the number of steps in one compiled call", at_least=1
    )
    eval_every: int = field(
        1_000,
        "steps between validations, each followed by a checkpoint; by default more of them in "
        "between, without a checkpoint, make at least ten",
        at_least=1,
    )
    keep_checkpoints: int = field(
        2, "latest checkpoints to keep, in addition to the best", at_least=1
    )
    select: str = field(
        "best",
        "checkpoint to measure; best: by the objective's own value on validation, of those "
        "after all schedules",
    )
    patience: int = field(
        0, "validations without a better score after which training stops", at_least=0, off=0
    )
    max_skipped_in_a_row: int = field(
        50, "consecutive non-finite steps after which the run stops", at_least=1
    )
    tracker: str = field("none", "tracker of experiments that gets the metrics, too")

    @property
    def validate_every(self) -> int:
        """Steps between validations; those between the steps of `eval_every` save no checkpoint.

        Fewer than `eval_every` only if that is the default and would give less than
        `MIN_VALIDATIONS`: then a multiple of `log_every`, or, in a run of few logs, a divisor.
        """
        is_default = self.eval_every == type(self).eval_every
        most = self.num_steps // MIN_VALIDATIONS
        if not is_default or most >= self.eval_every or self.num_steps < MIN_CURVE_STEPS:
            return self.eval_every
        if most >= self.log_every:
            return most - most % self.log_every
        common = math.gcd(self.log_every, self.eval_every)
        return max(steps for steps in range(1, most + 1) if common % steps == 0)


def _sweep_lists(name_of_group: str, group: type) -> list[tuple[str, Any, Any]]:
    """A field of `Sweep` for each field of the group that is marked `sweep`."""
    return [
        (name, tuple[entry.type, ...], field((), f"values of {name_of_group}.{name}"))
        for name, entry in leaf_fields(group)
        if entry.metadata["sweep"]
    ]


Sweep = dataclasses.make_dataclass(
    "Sweep",
    [
        ("seed", tuple[int, ...], field((), "values of seed")),
        *_sweep_lists("objective", ObjectiveConfig),
        *_sweep_lists("model", ModelConfig),
        *_sweep_lists("optimizer", Optimizer),
        (
            "chunk",
            int,
            field(
                0,
                "trials under one vmap at a time; 0: one on CPU, elsewhere all of a device",
                at_least=0,
            ),
        ),
    ],
    namespace={
        "__doc__": """Values of hyper-parameters: one trial per combination, trained in one program.

        No sweep if all lists are empty.
        """,
        "__module__": __name__,
    },
)


@dataclasses.dataclass
class Config:
    """A run, or a sweep of runs."""

    name: str = field("vae", "name of the run, and of its default workdir")
    seed: int = field(0, "seed of parameters, noise and data order", at_least=0, sweep=True)
    data: Data = dataclasses.field(default_factory=Data)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    codes: Codes = dataclasses.field(default_factory=Codes)
    hierarchy: Hierarchy = dataclasses.field(default_factory=Hierarchy)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
    train: Train = dataclasses.field(default_factory=Train)
    evaluation: Evaluation = dataclasses.field(default_factory=Evaluation)
    sweep: Sweep = dataclasses.field(default_factory=Sweep)
