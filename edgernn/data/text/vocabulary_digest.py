"""Digests that vouch for a whole tokenizer, in forms that any host can compute.

``tokens``: SHA-256 over the tokens in the order of their ids, 0 to V - 1, as the vocabulary spells
them, each as its number of UTF-8 bytes in decimal digits, a colon, the bytes, a comma (a netstring,
as ``5:hello,``); an id without a token is ``-,``. ``rules``: SHA-256 over all else of
``tokenizer.json`` that makes ids of text and text of ids (how text is cut, joined and normalised,
merges, special tokens): the file as JSON without ``model.vocab``, keys sorted, no spaces, all but
ASCII escaped.
"""

from __future__ import annotations

import hashlib
import json

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError


def tokens_sha256(tokenizer: Tokenizer) -> str:
    """Return the digest of the list of tokens, 64 hexadecimal digits."""
    hashed = hashlib.sha256()
    for token_id in range(tokenizer.vocabulary_size):
        try:
            spelled = tokenizer.token(token_id).encode()
        except DataError:  # a hole in the numbering
            hashed.update(b"-,")
            continue
        hashed.update(b"%d:%b," % (len(spelled), spelled))
    return hashed.hexdigest()


def rules_sha256(tokenizer: Tokenizer) -> str:
    """Return the digest of all but the list of tokens, 64 hexadecimal digits."""
    document = json.loads(tokenizer.to_json())
    document["model"].pop("vocab", None)
    return hashlib.sha256(
        json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()
