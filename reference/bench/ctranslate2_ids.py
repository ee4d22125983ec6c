"""Converts a checkpoint without a tokenizer to CTranslate2: the numbers of its ids are used as tokens."""

from ctranslate2.converters import TransformersConverter


class Numbers:
    """The tokenizer of a model whose tokens are their ids."""
    bos_token, pad_token, eos_token, unk_token = "0", "1", "2", "3"
    unk_token_id = 3
    special_tokens_map = {}

    def __init__(self, size):
        self.size = size

    def get_vocab(self):
        return {str(i): i for i in range(self.size)}

    def convert_ids_to_tokens(self, i):
        return str(i)


class Converter(TransformersConverter):
    def load_model(self, *args, **kwargs):
        model = super().load_model(*args, **kwargs)
        self.size = model.config.vocab_size
        return model

    def load_tokenizer(self, *_, **__):
        return Numbers(self.size)
