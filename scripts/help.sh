#!/usr/bin/env bash
# What the targets do.
cat <<'T'
make demo      a cluster, Slipway on it, a model trained, served and asked; stays up (root)
make test      everything: check, the API against a real kube-apiserver, the whole chain on a real cluster,
               which it removes at its end (root; KEEP=1 leaves it)
make check     format, types, import contracts, unit, golden and chart tests; no cluster, under two minutes
make integration  the API, the loop and a gang of two against etcd, a kube-apiserver and torch; no cluster
make sim       search for a run that breaks a promise of the operator: SEEDS=n, or WHAT=crashes, deletions
make sim-mutants  which planted mistakes the simulation finds
make fmt       format the code
make setup     install what the others need (they do it themselves)
make bench     what the operator costs at 15,000 jobs, against bounds; long, and for a machine with nothing else to do
make bench-train  what a training step costs: our loop against a plain one, every strategy against DDP (three minutes)
make mutation  mutation score of the plan (long)
make verify    regenerate what is generated, then what is too long for every change
make clean     remove the cluster and the project's cache (README says what stays)
T
