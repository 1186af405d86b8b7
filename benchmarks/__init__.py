"""Training speed of this project, plain JAX, PyTorch and pythae, measured side by side.

python -m benchmarks.main --help
"""
