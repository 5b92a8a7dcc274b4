"""The vocabularies that checkpoints leave out, or keep beside: read, or built anew in the order of
their upstream.
"""
