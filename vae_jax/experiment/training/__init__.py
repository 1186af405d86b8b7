"""Training loop, trainers and recording."""
