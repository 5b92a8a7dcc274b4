"""Sequences with a label a step: drawn clips of a moving shape, generated sentences, and one's own
frames and words.
"""
