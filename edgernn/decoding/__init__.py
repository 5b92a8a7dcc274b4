"""Decoding in numpy: from logits to tokens, from a prompt to a text. Runs on anything that has a
Session.
"""
