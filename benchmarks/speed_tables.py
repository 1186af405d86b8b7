"""Tables of speed as GitHub markdown, from the records of `benchmarks.speed_pages`."""

from collections.abc import Mapping
from typing import Any

from benchmarks import machine, report
from benchmarks import streaming as streamed
from benchmarks.machine import UNKNOWN
from benchmarks.tasks import TASKS

Record = Mapping[str, Any]
Records = Mapping[str, Record]

NOT_MEASURED = "Not measured yet: `{}` measures it."
SHORT_HEADER = ("model", "vae_jax", "PyTorch", "pythae")
LIKELIHOOD_HEADER = ("side", "images", "minutes, each round")
STARTUP_HEADER = (
    "config",
    "run",
    "whole s",
    "first line s",
    "numbers s",
    "processors s",
    "to the baseline",
)
VARIANTS = {"baseline": "baseline", "cold": "empty cache", "warm": "filled cache"}


def training(records: Records) -> str:
    """The speeds of training on CPUs, with the circumstances of each record."""
    return _sections(records, "train", _training_section, "benchmarks.main", gpu=False)


def gpu_training(records: Records) -> str:
    """The speeds of training on GPUs."""
    return _sections(records, "train", _training_section, "benchmarks.main", gpu=True)


def processes(records: Records) -> str:
    """The seconds of whole processes."""
    command = "benchmarks.main --parts=process,sweep,sweep_784"
    return _sections(records, "process", _process_section, command)


def startup(records: Records) -> str:
    """The seconds of short runs."""
    return _sections(records, "startup", _startup_section, "benchmarks.startup")


def streaming(records: Records) -> str:
    """The speeds of training from files, relative to memory."""
    return _sections(records, "streaming", _streaming_section, "benchmarks.streaming")


def likelihood(records: Records) -> str:
    """The time of log p(x), extrapolated to 10,000 images with 5,000 samples each."""
    return _sections(records, "likelihood", _likelihood_section, "benchmarks.likelihood")


def short_table(records: Records) -> str:
    """Examples per second of each model in float32: ours, the faster PyTorch, pythae.

    Two more columns for each GPU, and a row for a model that was measured only there. A model
    that has several tasks is represented by the first of them.
    """
    records = {name: record for name, record in records.items() if _dtype(record) == "float32"}
    gpus = sorted({record["machine"]["gpu"] for record in records.values() if "train" in record})
    gpus = [gpu for gpu in gpus if gpu]
    header = [*SHORT_HEADER, *(f"{side}, {gpu}" for gpu in gpus for side in SHORT_HEADER[1:3])]
    rows = []
    first = {task.network: task for task in reversed(TASKS.values())}
    for task in reversed(first.values()):
        cells = [
            cell
            for gpu in ["", *gpus]
            for cell in _rates(records, task.name, gpu)[: 2 if gpu else 3]
        ]
        if any(cells):
            rows.append([task.title.partition(", batch ")[0], *cells])
    return report.table(header, rows, text_columns=1)


def _rates(records: Records, task: str, gpu: str) -> list[str]:
    """Examples per second of ours, the faster PyTorch and pythae on a GPU, or "" for CPUs."""
    for record in records.values():
        numbers = record.get("train", {}).get(task, {})
        if record["machine"]["gpu"] == gpu and "vae_jax" in numbers:
            rates = (
                numbers["vae_jax"]["rate"],
                report.reference(numbers),
                numbers.get("pythae", {}).get("rate"),
            )
            return ["" if rate is None else f"{rate:,.0f}" for rate in rates]
    return ["", "", ""]


def _dtype(record: Record) -> str:
    return record.get("dtype", "float32")


def _sections(
    records: Records, part: str, section: Any, module: str, *, gpu: bool | None = None
) -> str:
    """The sections of the records with this part, in order, or the command that measures it."""
    texts = [
        f"{circumstances(record)}\n\n{section(record)}"
        for record in records.values()
        if part in record and (gpu is None or gpu == bool(record["machine"]["gpu"]))
    ]
    return "\n\n".join(texts) or NOT_MEASURED.format(f"python -m {module}")


def circumstances(record: Record) -> str:
    """The command of a record, and a paragraph about what it ran on and when."""
    parts = [machine.sentence(record["machine"])]
    if "dtype" in record:
        parts.append(record["dtype"])
    if record.get("rounds"):
        parts.append(f"{record['rounds']} rounds")
    parts += [f"date {record['started'] or UNKNOWN}", f"commit {machine.short_commit(record)}"]
    sentence = "; ".join(parts)
    lines = [f"{sentence[0].upper()}{sentence[1:]}."]
    if "peak" in record:
        lines.append(report.peak_sentence(record["peak"], record["dtype"]) + ".")
    lines += [record["note"]] if "note" in record else []
    return f"```bash\n{record['command']}\n```\n\n" + "\n".join(lines)


def _training_section(record: Record) -> str:
    return report.table(report.HEADER, report.train_rows(record["train"]))


def _process_section(record: Record) -> str:
    rows = [
        [f"`{job}`, {record['steps']:,} steps", *rest]
        for job, *rest in report.process_rows(record["process"])
    ]
    return report.table(report.PROCESS_HEADER, rows)


def _startup_section(record: Record) -> str:
    rows = []
    for config, job in record["startup"].items():
        for variant, medians in job["summary"].items():
            names = ("seconds", "first_line", "numbers", "processor")
            ratio = medians.get("seconds_ratio")
            rows.append(
                [
                    f"`{config}`, {job['steps']:,} steps",
                    VARIANTS[variant],
                    *(f"{medians[name]:.1f}" for name in names),
                    "-" if ratio is None else f"{ratio:.2f}",
                ]
            )
    helps = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in record["help"].items())
    return f"{report.table(STARTUP_HEADER, rows)}\n\n`--help`: {helps}."


def _streaming_section(record: Record) -> str:
    return report.table(streamed.HEADER, streamed.rows(record["streaming"]))


def _likelihood_section(record: Record) -> str:
    numbers = record["likelihood"]
    rows = []
    for side, minutes in numbers["minutes"].items():
        images = numbers["images"][side]
        cells = UNKNOWN if minutes is None else " ".join(f"{value:.2f}" for value in minutes)
        rows.append([side, UNKNOWN if images is None else str(images), cells])
    table = report.table(LIKELIHOOD_HEADER, rows, text_columns=1)
    return (
        f"{table}\n\nWith {numbers['samples']:,} samples; ours takes {numbers['share']:.2f} of the "
        "time of pythae."
    )
