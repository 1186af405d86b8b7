"""Train, evaluate, plot and report on a variational autoencoder.

python -m vae_jax.main --config=beta_vae
python -m vae_jax.main --config=vae:mnist --config.seed=1 --workdir=runs/mnist1
python -m vae_jax.main --workdir=runs/mnist1 --mode=eval
python -m vae_jax.main --workdir=runs/mnist1 --mode=report

--config takes the name of a packaged config (--list shows all) or the path of a file.
--workdir may be a bucket, gs://NAME/run. --workdir=runs/a,runs/b --mode=report writes one page
that compares several runs.

Two processes train one model, or every second trial of a sweep each:

python -m vae_jax.main --config=... --coordinator=10.0.0.1:1234 --num_processes=2 --process_index=0
python -m vae_jax.main --config=... --coordinator=10.0.0.1:1234 --num_processes=2 --process_index=1

python -m vae_jax.main --config=... --config.sweep.beta=1,2,4,8 --trials=1/2
python -m vae_jax.main --config=... --config.sweep.beta=1,2,4,8 --trials=2/2

An answer for every row of the test split, or of other data, in one file:

python -m vae_jax.main --workdir=runs/mnist1 --mode=score
python -m vae_jax.main --workdir=runs/mnist1 --mode=encode --data=mine.npz --output=codes.npz
python -m vae_jax.main --workdir=runs/mnist1 --mode=sample --num_samples=1000
python -m vae_jax.main --workdir=runs/table --mode=impute --data=holes.csv --output=filled.csv

--mode=eval uses the saved config of the workdir. --config.evaluation.* replace its fields, and
--config.data.path or --config.data.dir the location of data that have moved:

python -m vae_jax.main --workdir=runs/mnist1 --mode=eval --config.evaluation.metrics=likelihood,gap

Exit status: 0, done; 1, the machine stopped it (no such device, no memory, a full disk, another
process); 2, wrong input (flag, config, data or workdir); 3, the run or a trial of the sweep
diverged; 130, Ctrl-C; 143, SIGTERM.
"""

if __name__ == "__main__":  # before the imports below, which take half a second
    from vae_jax.experiment.launch import early_exit

    early_exit.arm()

import gc
from collections.abc import Sequence

from absl import app, flags
from ml_collections import config_flags

from vae_jax.experiment import cli
from vae_jax.experiment.launch import clusters, exits, garbage, row_flags

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Name or path of a config, such as beta_vae, vae:mnist or configs/vae.py.",
    lock_config=True,
)
_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "Directory of the run, local or in a bucket (gs:// or s3://); runs/<config name> by default.",
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "Address and port of the first of several processes."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Number of processes of the run.")
_PROCESS_INDEX = flags.DEFINE_integer("process_index", None, "Index of this process, from 0.")
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed",
    None,
    "Detect the other processes, on a cluster that JAX supports; --nodistributed: this process "
    "runs alone. By default they are detected if the environment shows that there are several.",
)
_TRIALS = flags.DEFINE_string(
    "trials",
    None,
    "K/N: train only every N-th trial of the sweep from the K-th on, such as 2/8; the other trials "
    "are trained by other processes in the same workdir.",
)
_LIST = flags.DEFINE_bool(
    "list", False, "Print configs, data sets, parts, objectives and metrics, and exit."
)
_COMPILATION_CACHE = flags.DEFINE_bool(
    "compilation_cache",
    True,
    "Keep compiled programs in the user's cache directory, or in $JAX_COMPILATION_CACHE_DIR.",
)
_MODE = flags.DEFINE_string(
    "mode",
    "train",
    "train (or resume) and evaluate; eval: only evaluate the run in the workdir; "
    "report: write an HTML page about it; score, encode, impute, reconstruct: an answer for every "
    "row; sample: new rows or images.",
)
_ROWS = row_flags.define()
_FLAGS = (
    _CONFIG,
    _WORKDIR,
    _COORDINATOR,
    _NUM_PROCESSES,
    _PROCESS_INDEX,
    _DISTRIBUTED,
    _TRIALS,
    _LIST,
    _COMPILATION_CACHE,
    _MODE,
    *_ROWS.values(),
)


def _main(argv: Sequence[str]) -> None:
    cli.check_no_arguments(argv)
    if _LIST.value:
        with garbage.paused():
            cli.print_list()
        return
    cli.check_trials(_TRIALS.value, _MODE.value, [_COORDINATOR, _DISTRIBUTED])
    rows = cli.read_row_flags(_ROWS, _MODE.value)
    if _is_surely_first():
        cli.announce(_MODE.value, _CONFIG.value, _WORKDIR.value)
    with exits.explain_import(), garbage.paused():
        import jax  # noqa: F401
    from vae_jax.experiment import processes
    from vae_jax.experiment.launch import compilation_cache

    compilation_cache.set_up(enabled=_COMPILATION_CACHE.value)  # before the first program
    processes.start(
        _COORDINATOR.value,
        _NUM_PROCESSES.value,
        _PROCESS_INDEX.value,
        distributed=False if _TRIALS.value else _DISTRIBUTED.value,
    )
    cli.run(_MODE.value, _CONFIG.value, _WORKDIR.value, _TRIALS.value, rows)
    gc.freeze()  # otherwise Python visits every object on its way out: half a second


def _is_surely_first() -> bool:
    """True for one process of a run only, without asking JAX, which detects the processes."""
    if _PROCESS_INDEX.value is not None:
        return _PROCESS_INDEX.value == 0
    if _TRIALS.value or _DISTRIBUTED.value is False:
        return True
    return not _DISTRIBUTED.value and clusters.detect() is None


def main() -> None:
    """Run the command line."""
    for flag in _FLAGS:  # a notebook runs it several times in one process
        flags.FLAGS[flag.name].unparse()
    with exits.exit_with_message():
        app.run(_main, flags_parser=cli.parse_flags_or_exit)


if __name__ == "__main__":
    main()
