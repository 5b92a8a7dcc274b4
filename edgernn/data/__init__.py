"""Text in, ids out: corpora are read, turned into tokens and kept on disk as memory-mapped integers.

    source → tokenizer → corpus                      for training
    prompt → tokenizer → ids → stream_decoder        for generation

``token_kinds`` and ``pieces`` serve the tokenizer; ``python_docs`` is the source that ships with every Python.
"""
