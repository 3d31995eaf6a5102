# One line a target, each to a script: read scripts/ for what they do.
.PHONY: help setup fmt check integration sim sim-mutants test demo bench bench-train mutation verify clean
help: ; @scripts/help.sh
setup: ; @scripts/setup.sh
fmt: ; @scripts/fmt.sh
check: ; @scripts/check.sh
integration: ; @scripts/integration.sh
sim: ; @scripts/sim.sh
sim-mutants: ; @WHAT=mutants scripts/sim.sh
test: ; @scripts/test.sh
demo: ; @scripts/demo.sh
bench: ; @scripts/bench.sh
bench-train: ; @scripts/bench-train.sh
mutation: ; @scripts/mutation.sh
verify: ; @scripts/verify.sh
clean: ; @scripts/clean.sh
