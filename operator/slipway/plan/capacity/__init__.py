"""How much memory a job takes, on what it could run, and how its processes had best share the work.

Pure arithmetic. Of training, on the spec: `model` counts parameters, `layout` says who holds what, `training_memory`
and `activations` add up bytes, `traffic` says what is sent, `choice` ranks the alternatives, `room` knows what there
is and `fit` whether that is enough. `slipway plan train` prints it and the operator refuses by it.

Of serving, on a config.json: `decoderconfig` reads it, `decoder` counts, `sharding` says who holds what, `kvcache` and
`enginememory` follow the engines, `roofline` and `serving` say how fast, `candidates` and `servingchoice` rank.
`slipway plan serve` prints it. `devices` is the one table of GPUs.
"""
