"""Taggers: a label for each step of a sequence, of the frames of a video, of the words of a
sentence.
"""

from __future__ import annotations

from edgernn.families.examples import ExamplesFamily


class TaggerFamily(ExamplesFamily):
    """A tagger: the scores of step t are the answer for it, or where the contract's outputs are
    late, for the step that many before it.
    """

    word = "tagger"
    noun = "tagger"
    layout = "the inputs [N, T, …], lengths int64 [N] and target int64 [N, T]"
    each_step = True
    command = "tag"
    arguments = " FILE"
    about = "a tagger, it gives a label to each frame or word"
    task, metrics = "token-classification", ("accuracy",)
