"""Rows of a dataset: how files are read, what is bad in them, and how a row becomes a conversation."""
