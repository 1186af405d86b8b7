"""Measurement of one run: compiled evaluators, scores, and the checkpoint to measure."""
