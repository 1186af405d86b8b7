"""Train, evaluate, plot and report on a variational autoencoder.

python -m vae_jax.main --config=configs/beta_vae.py
python -m vae_jax.main --config=configs/vae.py:mnist --config.seed=1 --workdir=runs/mnist1
python -m vae_jax.main --workdir=runs/mnist1 --mode=eval
python -m vae_jax.main --workdir=runs/mnist1 --mode=report

--workdir=runs/a,runs/b --mode=report writes one page that compares several runs. Two processes:

python -m vae_jax.main --config=... --coordinator=10.0.0.1:1234 --num_processes=2 --process_index=0
python -m vae_jax.main --config=... --coordinator=10.0.0.1:1234 --num_processes=2 --process_index=1
"""

import gc
from collections.abc import Sequence

from absl import app, flags
from ml_collections import config_flags

from vae_jax.experiment import cli

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Path of a config file, such as configs/beta_vae.py or configs/vae.py:mnist.",
    lock_config=True,
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the run; runs/<config name> by default."
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "Address and port of the first of several processes."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Number of processes of the run.")
_PROCESS_INDEX = flags.DEFINE_integer("process_index", None, "Index of this process, from 0.")
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "Detect the other processes, on a cluster that JAX supports."
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
    "report: write an HTML page about it.",
)


def _main(argv: Sequence[str]) -> None:
    with cli.exit_with_message():
        cli.check_no_arguments(argv)
        if not _PROCESS_INDEX.value:
            cli.announce(_MODE.value, _CONFIG.value, _WORKDIR.value)
        from vae_jax.experiment import compilation_cache, processes  # load JAX

        processes.start(
            _COORDINATOR.value,
            _NUM_PROCESSES.value,
            _PROCESS_INDEX.value,
            distributed=_DISTRIBUTED.value,
        )
        compilation_cache.set_up(enabled=_COMPILATION_CACHE.value)
        cli.run(_MODE.value, _CONFIG.value, _WORKDIR.value)
        gc.freeze()  # otherwise Python visits every object on its way out: half a second


def main() -> None:
    """Run the command line."""
    app.run(_main, flags_parser=cli.parse_flags_or_exit)


if __name__ == "__main__":
    main()
