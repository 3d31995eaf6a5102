"""A Decoder from a Hugging Face config.json.

Decided here: how each family spells its sizes, which layers have a sliding window, which have experts, and what is not
known well enough to be planned for: recurrent and linear attention, sparse attention with an index of its own,
encoders. A family that is not among KNOWN is read as Llama's, and that is said. Sources are transformers' configuration
classes of each `model_type`, whose defaults a config.json leaves out.
"""

from collections.abc import Callable

from .configreader import ConfigReader, Unplannable
from .decoder import Attention, Decoder, FeedForward, Latent, Layer
from .quantized import bits_of

UNGATED = frozenset({"gpt2", "opt", "gpt_neox", "gpt_bigcode", "bloom", "falcon", "phi", "starcoder2"})
TIED = frozenset({"gpt2", "opt", "bloom", "gpt_bigcode", "gemma", "gemma2", "gemma3_text", "gemma4_text", "cohere2"})
LLAMA = frozenset(
    {"llama", "mistral", "mixtral", "phi3", "granite", "granitemoe", "olmo2", "gpt_oss", "glm4", "glm4_moe"}
    | {"qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen3_vl_text", "deepseek_v2", "deepseek_v3"}
)
KNOWN = UNGATED | TIED | LLAMA
# Of interleaved windows: every so many layers one sees everything.
PATTERNS = {"gemma2": 2, "gemma3_text": 6, "gemma4_text": 6, "cohere2": 4, "gpt_oss": 2}
LAYERS_MAX = 1000
WHOLE, SLIDING = "full_attention", "sliding_attention"
REFUSED = {
    "index_topk": "sparse attention keeps an index beside the cache",
    "compress_ratios": "compressed attention keeps a cache of a size of its own",
    "ssm_cfg": "recurrent layers keep a state and no cache",
    "mamba_d_state": "recurrent layers keep a state and no cache",
    "hybrid_override_pattern": "recurrent layers keep a state and no cache",
    "linear_num_key_heads": "linear attention keeps a state and no cache",
    "linear_attn_config": "linear attention keeps a state and no cache",
    "attn_type_list": "linear attention keeps a state and no cache",
    "num_kv_shared_layers": "layers share a cache",
    "hidden_size_per_layer_input": "each layer has embeddings of its own",
    "encoder_layers": "it has an encoder",
}


def decoder_from(config: object, *, name: str = "", counted_bytes: int | None = None) -> Decoder:
    """`config` is the parsed file; `counted_bytes` the total_size of the weights' index. Raises Unplannable."""
    read = ConfigReader(config)
    _refuse(read)
    family = read.text("model_type")
    layers = read.size("num_hidden_layers", "n_layer", "n_layers", "num_layers", most=LAYERS_MAX)
    hidden = read.size("hidden_size", "n_embd", "d_model")
    kinds = _windows(read, family, layers)
    return Decoder(
        name=name or family,
        hidden=hidden,
        vocabulary=read.size("vocab_size"),
        context=read.size("max_position_embeddings", "n_positions", "n_ctx"),
        layers=tuple(
            Layer(_attention(read, kinds[at], hidden), _feed_forward(read, at, hidden)) for at in range(layers)
        ),
        tied=read.flag("tie_word_embeddings", default=family in TIED),
        positions=read.size("n_positions", "max_position_embeddings") if family in ("gpt2", "opt") else 0,
        bits=bits_of(read),
        counted_bytes=counted_bytes,
        notes=tuple(_notes(read, family, counted_bytes)),
    )


def _refuse(read: ConfigReader) -> None:
    for name, why in REFUSED.items():
        if read.raw(name):
            raise Unplannable(f"config.json: {name}: {why}, and its memory is not known here: measure it instead")
    if read.raw("is_encoder_decoder"):
        raise Unplannable("config.json: is_encoder_decoder: only decoders are planned for")


def _notes(read: ConfigReader, family: str, counted_bytes: int | None) -> list[str]:
    notes = []
    if family not in KNOWN:
        notes.append(f"model_type {family or 'missing'} is not one that was checked: its layers are taken as Llama's")
    if read.within and counted_bytes is None:
        notes.append("only the text decoder is counted: other parts of the model take memory too")
    return notes


def _windows(read: ConfigReader, family: str, layers: int) -> list[int | None]:
    """The window of each layer. Qwen's have none unless they say so."""
    listed = _listed(read, layers)
    used = read.flag("use_sliding_window", default=not family.startswith("qwen"))
    if read.raw("sliding_window") is None or not used:
        return [None] * layers
    size = read.size("sliding_window")
    slides = _slides(read, family, listed)
    return [size if slides(at) else None for at in range(layers)]


def _slides(read: ConfigReader, family: str, listed: tuple[str, ...] | None) -> Callable[[int], bool]:
    if listed is not None:
        return lambda at: listed[at] == SLIDING
    if family in PATTERNS:
        every = read.size("sliding_window_pattern", default=PATTERNS[family])
        return lambda at: (at + 1) % every != 0
    if read.raw("max_window_layers") is not None and family.startswith("qwen"):
        first = read.size("max_window_layers")
        return lambda at: at >= first
    return lambda _: True


def _listed(read: ConfigReader, layers: int) -> tuple[str, ...] | None:
    """The kind of each layer, where the file has a list."""
    kinds = read.words("layer_types")
    if kinds is None:
        return None
    if odd := sorted(set(kinds) - {WHOLE, SLIDING}):
        raise Unplannable(
            f"config.json: layer_types: {', '.join(odd)}: what such layers keep in memory is not known here"
        )
    if len(kinds) != layers:
        raise Unplannable(f"config.json: layer_types: has {len(kinds)} entries and num_hidden_layers is {layers}")
    return kinds


def _attention(read: ConfigReader, window: int | None, hidden: int) -> Attention:
    heads = read.size("num_attention_heads", "n_head", "n_heads")
    if read.raw("kv_lora_rank"):
        return _latent(read, heads, window)
    kv_heads = read.size("num_key_value_heads", "n_head_kv", default=1 if read.raw("multi_query") else heads)
    if read.raw("head_dim") is None and hidden % heads:
        raise Unplannable(f"config.json: hidden_size: {hidden} is not a multiple of num_attention_heads, {heads}")
    width = read.size("head_dim", default=hidden // heads)
    if window is None and read.raw("global_head_dim"):  # Gemma 4's layers that see everything have heads of their own
        width = read.size("global_head_dim")
        kv_heads = read.size("num_global_key_value_heads", default=kv_heads)
    return Attention(heads, kv_heads, width, width, window)


def _latent(read: ConfigReader, heads: int, window: int | None) -> Attention:
    rope = read.size("qk_rope_head_dim")
    latent = Latent(read.size("kv_lora_rank"), rope, read.count("q_lora_rank") or None)
    key_width = read.size("qk_nope_head_dim") + rope
    return Attention(heads, heads, key_width, read.size("v_head_dim"), window, latent)


def _feed_forward(read: ConfigReader, at: int, hidden: int) -> FeedForward:
    family = read.text("model_type")
    matrices = 2 if family in UNGATED else 3
    width = read.size("intermediate_size", "n_inner", "ffn_dim", default=4 * hidden if family in UNGATED else None)
    experts = read.count("num_local_experts", "num_experts", "n_routed_experts")
    if experts <= 1 or not _has_experts(read, at):
        return FeedForward(width, matrices=matrices)
    each = read.size("moe_intermediate_size", default=width)
    taken = read.size("num_experts_per_tok", "top_k_experts", "experts_per_token", most=experts)
    return FeedForward(each, experts, taken, _shared_width(read, each, width), matrices)


def _has_experts(read: ConfigReader, at: int) -> bool:
    if at < read.count("first_k_dense_replace") or at in read.integers("mlp_only_layers"):
        return False
    step = read.size("decoder_sparse_step", "moe_layer_freq", default=1)
    return (at + 1) % step == 0


def _shared_width(read: ConfigReader, each: int, width: int) -> int:
    if read.raw("enable_moe_block"):  # Gemma 4: the dense block stands beside the experts
        return width
    return read.count("shared_expert_intermediate_size", "shared_intermediate_size") or (
        read.count("n_shared_experts") * each
    )
