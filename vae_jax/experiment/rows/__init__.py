"""An answer for every row: scores, codes, reconstructions and samples of a finished run."""
