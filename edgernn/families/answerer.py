"""Models that answer a question about a picture: ``encode`` sees the picture, the words of the
question come step by step, and the scores of the answers after the last word count.
"""

from __future__ import annotations

from edgernn.contract import Contract
from edgernn.families.examples import ExamplesFamily


class AnswererFamily(ExamplesFamily):
    """Questions about pictures. Its held-out sample is one of ``ExamplesFamily``, a row a
    question.
    """

    word = "answerer"
    noun = "answerer of questions about pictures"
    layout = "image uint8 [N, S, S, 3], tokens int64 [N, T], lengths int64 [N] and target int64 [N]"
    unit = "token"
    command = "ask"
    arguments = " PICTURE QUESTION"
    about = "a model that answers questions about pictures"
    task, metrics = "visual-question-answering", ("accuracy",)

    def problem(self, contract: Contract) -> str:
        """See ``Family.problem``."""
        encode, step = contract.encode, contract.step
        if encode is None or len(encode.inputs) != 1 or not encode.inputs[0].is_picture:
            return "it has no encode graph that takes one picture, about which to ask"
        if step.fresh_inputs != (step.ids,):
            return (
                f"step takes {[t.name for t in step.fresh_inputs]}, expected the words of a "
                "question alone, ids below an axis"
            )
        return super().problem(contract)
