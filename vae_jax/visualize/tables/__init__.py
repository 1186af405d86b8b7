"""Figures of tables: their columns, associations of columns, and effects of latents on columns."""
