"""The command line: its arguments, configs by name, devices, clusters, and exits."""
