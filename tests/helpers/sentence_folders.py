"""A sentence encoder with random weights, in the layout in which sentence-transformers saves."""

from __future__ import annotations

from pathlib import Path

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,"
DIM, CONTEXT = 32, 40


def write_encoder(folder: Path) -> Path:
    """A BERT of one layer that reads letters, 40 tokens of them, and averages what it makes."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = {t: i for i, t in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *LETTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Split(Regex("."), "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        unk_token="[UNK]", model_max_length=CONTEXT,
    )  # fmt: skip
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=DIM, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=CONTEXT,
    )  # fmt: skip
    bare = folder.parent / f"{folder.name}-bare"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertModel(config)
        for tensor in model.parameters():
            if tensor.ndim > 1:
                torch.nn.init.normal_(tensor, std=0.3)
    model.save_pretrained(bare)
    fast.save_pretrained(bare)
    layers = [Transformer(str(bare), max_seq_length=CONTEXT), Pooling(DIM)]
    SentenceTransformer(modules=layers, device="cpu").save(str(folder))
    return folder
