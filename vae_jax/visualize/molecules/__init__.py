"""Figures of molecules: structures drawn by RDKit, and curves of their properties."""
