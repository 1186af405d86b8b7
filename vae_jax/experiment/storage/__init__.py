"""The run directory: configs, checkpoints, metrics, locks."""
