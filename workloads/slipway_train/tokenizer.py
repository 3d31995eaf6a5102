"""The byte-level BPE tokenizer: how it is trained, its special tokens, and its chat template.

Decided here: every byte is a token, so no text is unknown and bits per byte mean the same for every vocabulary.
Training sees a bounded sample, in the dataset's own order, and is deterministic. Special tokens are written by the
recipe only: a text that spells one is tokenized as plain text.
"""

from collections.abc import Iterator
from itertools import chain

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from .corpus import Corpus
from .errors import RecipeError

END_OF_TEXT = "<|endoftext|>"
PADDING = "<|pad|>"
SPECIAL_TOKENS = (END_OF_TEXT, PADDING)
SAMPLE_BYTES = 8 << 20

# A pretrained model continues text and has never seen a role: the messages are the text, and it goes on where they
# stop. The first token is what every document began after.
CHAT_TEMPLATE = (
    "{{ '" + END_OF_TEXT + "' }}"
    "{% for message in messages %}{{ message['content'] }}{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}"
)


def train_tokenizer(corpus: Corpus, vocab_size: int) -> bytes:
    """Trains on at most SAMPLE_BYTES of the training files; the result is the content of tokenizer.json."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample(corpus), trainer)
    return str(tokenizer.to_str()).encode()


def load_tokenizer(content: bytes) -> Tokenizer:
    """A `tokenizers.Tokenizer` that takes special tokens in a text for plain text."""
    tokenizer = Tokenizer.from_str(content.decode())
    tokenizer.encode_special_tokens = True
    if tokenizer.token_to_id(END_OF_TEXT) is None:
        raise RecipeError(f"the tokenizer in the checkpoint has no {END_OF_TEXT}: it was not made by this recipe")
    return tokenizer


def _sample(corpus: Corpus) -> Iterator[str]:
    """Files at an even stride over the sorted list, so that a large dataset is sampled from end to end."""
    total = sum(corpus.tree.sizes[name] for name in corpus.training)
    stride = max(1, -(-total // SAMPLE_BYTES))
    taken = 0
    for name in corpus.training[::stride]:
        for piece in chain.from_iterable(corpus.documents(name, held_out=False)):
            yield piece
            taken += len(piece.encode())
            if taken >= SAMPLE_BYTES:
                return
