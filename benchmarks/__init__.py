"""Side-by-side measurements of training: this project, plain JAX, PyTorch and pythae, in one run on one machine.

python -m benchmarks.main --help
"""
