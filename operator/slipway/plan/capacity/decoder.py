"""A model that is served, as far as its size goes: its layers in order, and how many bits a weight of each part has.

Nothing is decided here, it is counted. Where `model.Shape` is the one kind of model that `pretrain` makes, a Decoder is
whatever a config.json describes (decoderconfig): layers of several kinds, experts, a latent cache, a sliding window.
Counts are split into what tensor parallelism cuts and what every GPU has whole.
"""

from dataclasses import dataclass, field

from .model import Shape

VOCABULARY_MULTIPLE = 64  # vLLM pads the vocabulary to this (vocab_parallel_embedding.py, DEFAULT_VOCAB_PADDING_SIZE)


@dataclass(frozen=True, slots=True)
class Latent:
    """Multi-head latent attention (DeepSeek-V2, 2024, arXiv:2405.04434, section 2.1): keys and values of a token are
    one vector of `rank` that all heads share, and a rotary key of `rope`."""

    rank: int
    rope: int
    query_rank: int | None


@dataclass(frozen=True, slots=True)
class Attention:
    """Of a layer. Widths are of one head; `window` is in tokens, None where a token sees all before it."""

    heads: int
    kv_heads: int
    key_width: int
    value_width: int
    window: int | None = None
    latent: Latent | None = None

    def cached_numbers(self, tensor: int) -> int:
        """Of one token on one GPU: keys and values of its heads. With fewer heads than GPUs each has a whole one, and a
        latent vector is on all of them."""
        if self.latent:
            return self.latent.rank + self.latent.rope
        return -(-self.kv_heads // tensor) * (self.key_width + self.value_width)

    def parameters(self, hidden: int, tensor: int) -> float:
        """Of one GPU's share of the projections."""
        if self.latent:
            return self._latent_parameters(hidden, self.latent, tensor)
        queries = self.heads * (self.key_width + self.value_width) / tensor  # and the output's columns
        return hidden * (queries + self.cached_numbers(tensor))

    def _latent_parameters(self, hidden: int, latent: Latent, tensor: int) -> float:
        """The down-projections are whole on every GPU, as vLLM has them (ReplicatedLinear in deepseek_v2.py)."""
        queries = self.heads * self.key_width / tensor
        query_in = latent.query_rank or hidden
        whole = hidden * (latent.rank + latent.rope) + (hidden * latent.query_rank if latent.query_rank else 0)
        up = latent.rank * self.heads * (self.key_width - latent.rope + self.value_width) / tensor
        return whole + query_in * queries + up + self.heads * self.value_width * hidden / tensor


@dataclass(frozen=True, slots=True)
class FeedForward:
    """Of a layer: `experts` blocks of `width`, of which a token takes `experts_per_token`, and one of `shared_width`
    that each token takes. Three matrices are gate, up and down; two have no gate."""

    width: int
    experts: int = 1
    experts_per_token: int = 1
    shared_width: int = 0
    matrices: int = 3

    def expert_parameters(self, hidden: int) -> int:
        """All experts' where there is a choice, else none."""
        return self.experts * self.matrices * hidden * self.width if self.experts > 1 else 0

    def dense_parameters(self, hidden: int) -> int:
        """What each token takes whatever the choice."""
        return self.matrices * hidden * (self.shared_width if self.experts > 1 else self.width)

    def router_parameters(self, hidden: int) -> int:
        return hidden * self.experts if self.experts > 1 else 0


@dataclass(frozen=True, slots=True)
class Layer:
    attention: Attention
    feed_forward: FeedForward


@dataclass(frozen=True, slots=True)
class Bits:
    """Bits of a weight, with its share of scales. Embeddings, norms and routers have `other`. Experts may be kept
    larger than they are: each side a multiple of `expert_multiples`, the hidden one first."""

    attention: float = 16
    dense: float = 16
    experts: float = 16
    other: float = 16
    expert_multiples: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class Decoder:
    """`context` in tokens, `positions` learned position embeddings. `counted_bytes` is what the checkpoint's own index
    says that its weights are, None where there is no index. `notes` are for a person: what was taken for granted."""

    name: str
    hidden: int
    vocabulary: int
    context: int
    layers: tuple[Layer, ...]
    tied: bool = False
    positions: int = 0
    bits: Bits = field(default_factory=Bits)
    counted_bytes: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def embedding_parameters(self) -> int:
        """Of the input's matrix, padded as it is in memory, or of the output's."""
        padded = -(-self.vocabulary // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE
        return padded * self.hidden


def decoder_of(shape: Shape) -> Decoder:
    """The model that a TrainingJob makes: Llama's layers, input and output embedding one matrix."""
    width = shape.hidden // shape.heads
    attention = Attention(shape.heads, shape.kv_heads, width, width)
    feed_forward = FeedForward(shape.feed_forward, shape.experts, shape.experts_per_token)
    layers = (Layer(attention, feed_forward),) * shape.layers
    return Decoder("pretrain", shape.hidden, shape.vocabulary, shape.context, layers, tied=True)


def parameters(decoder: Decoder) -> int:
    """All of them, a tied embedding once; norms and biases, a few in a thousand, as two of each layer."""
    return round(_embeddings(decoder) + sum(layer_parameters(decoder, layer) for layer in decoder.layers))


def active_parameters(decoder: Decoder) -> int:
    """Of those that multiply a token: not the input's embedding, and of experts the chosen ones."""
    resting = sum(_resting(decoder.hidden, layer.feed_forward) for layer in decoder.layers)
    every = sum(layer_parameters(decoder, layer) for layer in decoder.layers)
    return round(every - resting + decoder.vocabulary * decoder.hidden)


def layer_parameters(decoder: Decoder, layer: Layer) -> float:
    hidden, forward = decoder.hidden, layer.feed_forward
    matrices = layer.attention.parameters(hidden, 1) + forward.dense_parameters(hidden)
    return matrices + forward.expert_parameters(hidden) + forward.router_parameters(hidden) + 2 * hidden


def _resting(hidden: int, forward: FeedForward) -> float:
    return forward.expert_parameters(hidden) * (1 - forward.experts_per_token / forward.experts)


def _embeddings(decoder: Decoder) -> int:
    matrices = 1 if decoder.tied else 2
    return (matrices * decoder.vocabulary + decoder.positions) * decoder.hidden
