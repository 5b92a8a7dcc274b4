"""XML that is read as a tree, and what is refused of it."""

from __future__ import annotations

import pytest

from edgernn.errors import ContractError
from edgernn.sessions.openvino import xml_tree
from edgernn.sessions.openvino.xml_tree import read_tree

LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>
<net name="&b;"><layers/></net>"""
OUTSIDE = b'<!DOCTYPE net SYSTEM "file:///etc/passwd"><net/>'


def test_elements_attributes_and_text_are_found() -> None:
    tree = read_tree(b'<net a="1"><b><dim> 5\n</dim><dim>6</dim></b></net>', source="it")
    assert (tree.tag, tree.attributes) == ("net", {"a": "1"})
    inner = tree.at("b")
    assert inner is not None
    assert [dim.text for dim in inner.all("dim")] == ["5", "6"]
    assert tree.at("b", "c", "d") is None


@pytest.mark.parametrize("content", [LAUGHS, OUTSIDE], ids=["entities", "outside"])
def test_a_document_type_is_refused(content: bytes) -> None:
    with pytest.raises(ContractError, match=r"^it has a document type, which no network has"):
        read_tree(content, source="it")


@pytest.mark.parametrize(
    "content", [b"", b"<net>", b"<net></nets>", b"\xff\xfe<\0n\0", b"<net/>more", b"<net a=1/>"]
)
def test_what_is_no_whole_xml_is_refused(content: bytes) -> None:
    with pytest.raises(ContractError, match=r"^it is damaged, it is no whole XML: [a-z]"):
        read_tree(content, source="it")


def test_more_levels_than_a_network_has_are_refused() -> None:
    deep = b"<a>" * 70 + b"</a>" * 70
    with pytest.raises(ContractError, match=r"^it has more elements or levels than a network"):
        read_tree(deep, source="it")


def test_more_bytes_than_a_network_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_tree, "MOST_BYTES", 10)
    with pytest.raises(ContractError, match=r"^it has 15 bytes, expected at most 10"):
        read_tree(b"<net>   </net> ", source="it")
