"""Everything that needs a config or a run directory."""
