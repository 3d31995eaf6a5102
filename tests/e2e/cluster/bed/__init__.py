"""The test bed: a real Kubernetes cluster, made from package registries alone or from published images.

Each module owns one decision; `cli` puts them in order. Nothing here is imported by the product, and everything runs on
Python's standard library, so that a bare machine can start it.
"""
