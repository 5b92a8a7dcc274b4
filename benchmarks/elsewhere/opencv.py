"""OpenCV's network module."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from _elsewhere import IN_THE_HOST, PORTABLE, Runtime

ORDER = 5
_NODE = re.compile(r"Node \[(\w+)@[\w.]+\].*error: \(\S+\) ?(.*)", re.DOTALL)
RUNTIMES = (
    Runtime(
        "opencv", "OpenCV", ("opencv-python-headless==5.0.0.93",),
        advice=(IN_THE_HOST, *PORTABLE),
    ),
)  # fmt: skip


def prepare(
    name: str, path: str, case: Mapping[str, Any]
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a call of the model."""
    import cv2

    net = cv2.dnn.readNetFromONNX(path)
    names = [each["name"] for each in case["outputs"]]

    def run(feeds: dict[str, Any]) -> dict[str, Any]:
        for each, value in feeds.items():
            net.setInput(value, each)
        return dict(zip(names, net.forward(names), strict=True))

    return run


def line(error: BaseException) -> str:
    """Return the operator and what is said of it: the first line tells where the text is alone."""
    found = _NODE.search(str(error))
    words = found.groups() if found else str(error).split("error: ")[-1:]
    said = ": ".join(re.sub(r" in function '\w+'.*", "", each, flags=re.DOTALL) for each in words)
    return re.sub(r'layer "[^"]*" of', "a layer of", said)
