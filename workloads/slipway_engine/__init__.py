"""Beside an inference engine: the check of a model's directory before it starts, and readiness by generated tokens."""
