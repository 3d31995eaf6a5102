"""The API: what a user writes and what Slipway answers. Types here are the one source of the CRDs.

Nothing in this package imports the rest of the operator; the workloads may import it.
"""
