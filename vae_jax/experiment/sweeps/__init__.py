"""Results of a sweep, and its trials over several processes."""
