"""How much memory a job takes, on what it could run, and how its processes had best share the work.

Pure arithmetic on the spec: `model` counts parameters, `layout` says who holds what, `training_memory` and
`activations` add up bytes, `traffic` says what is sent, `choice` ranks the alternatives, `room` knows what there is
and `fit` whether that is enough. `slipway plan train` prints it and the operator refuses by it.
"""
