#!/usr/bin/env bash
# What the targets do.
cat <<'T'
make demo      a cluster, Slipway on it, a model trained, served and asked; says how to remove it
make test      everything: check, the API against a real kube-apiserver, the whole chain on a real cluster
make check     format, types, import contracts, unit, golden and chart tests; no cluster, under two minutes
make fmt       format the code
make setup     install what the others need (they do it themselves)
make mutation  mutation score of the plan (long)
make verify    regenerate what is generated, then what is too long for every change
make clean     remove the cluster and what the project cached
T
