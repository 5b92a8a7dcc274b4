"""C99 that writes text, over a step in C: tokens chosen from scores, a tokenizer's table."""
