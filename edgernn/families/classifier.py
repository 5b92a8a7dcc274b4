"""Classifiers: a sequence to one of a few labels, of which the scores after its last step count."""

from __future__ import annotations

from edgernn.families.examples import ExamplesFamily


class ClassifierFamily(ExamplesFamily):
    """A classifier of texts or of frames: every step gives running scores, the last one counts."""

    word = "classifier"
    noun = "classifier"
    layout = "the inputs [N, T, …], lengths int64 [N] and target int64 [N]"
    command = "classify"
    arguments = " TEXT"
    about = "a classifier, it gives a label to a sequence"
    task, metrics = "text-classification", ("accuracy",)
