"""A VAE of river flows, with a gamma likelihood."""
