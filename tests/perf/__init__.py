"""What the operator costs, measured on a real etcd and kube-apiserver: docs/performance.md has the figures.

`make bench` runs `full.yaml`, a pytest runs `small.yaml`: sizes and bounds are data. Nodes and pods are kwok's.
"""
