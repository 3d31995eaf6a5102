"""The size of the model that `pretrain` makes, in parameters.

Decided here: nothing, it is counted. workloads/slipway_train/model.py builds the model, and a test holds the count
equal to the real one's. Counts are of whole matrices, so that what each process holds can be told.
"""

from dataclasses import dataclass

from ...api.trainingjob import ModelSpec

FEED_FORWARD_MULTIPLE = 32  # the feed-forward width is 8/3 of the hidden size, rounded up to this


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes in tokens, hidden units, layers and heads. `experts` feed-forward blocks a layer, of which a token
    takes `experts_per_token`; one is the dense model, the only one that a spec can ask for so far."""

    vocabulary: int
    context: int  # tokens per sequence
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    feed_forward: int
    experts: int = 1
    experts_per_token: int = 1

    @property
    def kv_hidden(self) -> int:
        """Width of the keys, and of the values, of a token."""
        return self.hidden // self.heads * self.kv_heads


def shape_of(spec: ModelSpec) -> Shape:
    return Shape(
        vocabulary=spec.vocab_size,
        context=spec.context_length,
        hidden=spec.hidden_size,
        layers=spec.layers,
        heads=spec.heads,
        kv_heads=spec.kv_heads,
        feed_forward=-(-spec.hidden_size * 8 // 3 // FEED_FORWARD_MULTIPLE) * FEED_FORWARD_MULTIPLE,
        experts=spec.experts,
        experts_per_token=min(spec.experts, spec.experts_per_token),
    )


def embedding_parameters(shape: Shape) -> int:
    """Of input and output, which are one matrix."""
    return shape.vocabulary * shape.hidden


def attention_parameters(shape: Shape) -> int:
    """Of one layer, with both of its norms."""
    return 2 * shape.hidden * shape.hidden + 2 * shape.hidden * shape.kv_hidden + 2 * shape.hidden


def expert_parameters(shape: Shape) -> int:
    """Of one layer's feed-forward blocks: gate, up and down of each."""
    return 3 * shape.hidden * shape.feed_forward * shape.experts


def router_parameters(shape: Shape) -> int:
    """Of one layer's choice between experts; none where there is no choice."""
    return shape.hidden * shape.experts if shape.experts > 1 else 0


def layer_parameters(shape: Shape) -> int:
    return attention_parameters(shape) + expert_parameters(shape) + router_parameters(shape)


def parameters(shape: Shape) -> int:
    """All of them, the tied embedding once."""
    return embedding_parameters(shape) + shape.layers * layer_parameters(shape) + shape.hidden
