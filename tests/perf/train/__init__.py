"""Measurements of the trainer, by hand: they take the machine for themselves."""
