"""Text and captions in, ids out; pictures in, pixels out. Corpora are read and kept on disk,
memory-mapped.

    source → tokenizer → corpus                                 for training on text
    caption_formats → captions ─┐
    scenes → scene_drawing ─────┴→ picture_set                  for training on pictures
    prompt → tokenizer → ids → stream_decoder                   for generation
    picture file → pictures → pixels                            for captioning

``token_kinds`` and ``pieces`` serve the tokenizer, ``picture_files`` the picture set.
``python_docs``, ``python_sources``, ``counting`` and ``scenes`` are built in.
"""
