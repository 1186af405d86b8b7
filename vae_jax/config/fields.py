"""The fields of a config: dataclasses with every default, its bounds and what uses it.

Strings name parts, which `vae_jax.experiment.builders` makes.
"""

import dataclasses
from typing import Any

from vae_jax.config.evaluation import Evaluation
from vae_jax.config.metadata import field, leaf_fields
from vae_jax.config.model import Codes, Hierarchy, Model
from vae_jax.config.objective import Objective
from vae_jax.config.rules import objective, one_of


@dataclasses.dataclass
class Data:
    """The data set and its preparation."""

    name: str = field("digits", doc="sprites, digits, npz, or a name of tensorflow-datasets")
    dir: str = field("", doc="folder of tensorflow-datasets")
    path: str = field(
        "",
        used_by=one_of("data.name", "npz"),
        doc="an .npz, .npy or .h5 file, a folder of .npy files or of images (class by subfolder)",
    )
    image_size: int = field(
        0,
        at_least=0,
        used_by=one_of("data.name", "npz"),
        doc="side to which the images of a folder are resized and cropped; 0: as they are",
    )
    values: str = field(
        "scaled", doc="scaled (integers 0 to 255 become [0, 1]), counts (whole numbers, unchanged)"
    )
    binarization: str = field(
        "auto",
        doc="none, static, dynamic, threshold, auto (dynamic for images that the literature "
        "binarizes, else none)",
    )
    valid_fraction: float = field(
        0.1, doc="fraction of train used for validation if the source has no validation split"
    )
    leave_out: int = field(
        -1, at_least=-1, doc="a class removed from all splits, for anomaly detection; -1: none"
    )
    num_labels: int = field(
        0,
        at_least=0,
        used_by=objective("m2"),
        doc="training examples that keep their label, for semi-supervised models; 0: all",
    )
    streaming: bool = field(
        False, doc="read training images from disk or host batch by batch; same numbers"
    )
    workers: int = field(
        0,
        at_least=0,
        used_by=one_of("data.streaming", True),
        doc="processes that read streamed images; 0: one thread",
    )


@dataclasses.dataclass
class Optimizer:
    """The optimizer and its learning-rate schedule."""

    name: str = field("adam", doc="adam, adamw, adamax")
    learning_rate: float = field(1e-3, above=0, sweep=True, doc="peak learning rate")
    schedule: str = field(
        "constant", doc="constant, cosine (to 0), linear (to 0); after the warm-up"
    )
    warmup_steps: int = field(0, at_least=0, sweep=True, doc="steps of linear warm-up from 0")
    weight_decay: float = field(
        0.0,
        at_least=0,
        used_by=one_of("optimizer.name", "adamw"),
        sweep=True,
        doc="decoupled weight decay",
    )
    clip_norm: float = field(
        0.0, at_least=0, sweep=True, doc="maximum global norm of the gradient; 0: off"
    )
    ema_decay: float = field(
        0.0,
        at_least=0,
        at_most=1 - 1e-7,
        sweep=True,
        doc="decay of the parameter average that evaluation uses; 0: off",
    )
    critic_rate: float = field(
        1e-4,
        above=0,
        used_by=objective("factor"),
        sweep=True,
        doc="learning rate of the critic, under Adam with b1 = 0.5, b2 = 0.9",
    )


@dataclasses.dataclass
class Train:
    """Length of training, logging and checkpoints."""

    num_steps: int = field(2_000, at_least=1, doc="training steps")
    batch_size: int = field(128, at_least=1, doc="examples per step")
    log_every: int = field(
        100, at_least=1, doc="steps between logs; also the number of steps in one compiled call"
    )
    eval_every: int = field(
        1_000, at_least=1, doc="steps between validations, each followed by a checkpoint"
    )
    keep_checkpoints: int = field(2, at_least=1, doc="latest checkpoints to keep, beside the best")
    select: str = field(
        "best",
        doc="checkpoint to measure: best (by the objective's own value on validation, of those "
        "after all schedules), last",
    )
    patience: int = field(
        0, at_least=0, doc="validations without a better score after which training stops; 0: off"
    )
    max_skipped_in_a_row: int = field(
        50, at_least=1, doc="consecutive non-finite steps after which the run stops"
    )


def _sweep_lists(group: type) -> list[tuple[str, Any, Any]]:
    """A field of `Sweep` for each field of the group that is marked `sweep`."""
    return [
        (name, tuple[entry.type, ...], field((), doc=f"values of {group.__name__.lower()}.{name}"))
        for name, entry in leaf_fields(group)
        if entry.metadata["sweep"]
    ]


Sweep = dataclasses.make_dataclass(
    "Sweep",
    [
        ("seed", tuple[int, ...], field((), doc="values of seed")),
        *_sweep_lists(Objective),
        *_sweep_lists(Model),
        *_sweep_lists(Optimizer),
        (
            "chunk",
            int,
            field(
                0,
                at_least=0,
                doc="trials under one vmap at a time; 0: one on CPU, elsewhere all of a device",
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

    name: str = field("vae", doc="name of the run, and of its default workdir")
    seed: int = field(0, at_least=0, sweep=True, doc="seed of parameters, noise and data order")
    data: Data = dataclasses.field(default_factory=Data)
    model: Model = dataclasses.field(default_factory=Model)
    codes: Codes = dataclasses.field(default_factory=Codes)
    hierarchy: Hierarchy = dataclasses.field(default_factory=Hierarchy)
    objective: Objective = dataclasses.field(default_factory=Objective)
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
    train: Train = dataclasses.field(default_factory=Train)
    evaluation: Evaluation = dataclasses.field(default_factory=Evaluation)
    sweep: Sweep = dataclasses.field(default_factory=Sweep)
