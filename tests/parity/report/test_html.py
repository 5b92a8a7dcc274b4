"""A report as a page: whole, well-formed, escaped, with every check and curve, and nothing
fetched.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.parity.checks import CHECKS
from edgernn.parity.report import svg
from edgernn.parity.report.data import ArtifactReport, Check, VerifyReport
from edgernn.parity.report.html import to_html

X = "{http://www.w3.org/1999/xhtml}"
HOSTILE = "<script>alert(1)</script>\" onload='x' ]]> & \x00\x1b\ud800"
CURVE = tuple(1e-7 * (1 + step) for step in range(20))


def rollout(status: str = "passed", **changes: Any) -> Check:
    content = {
        "name": "rollout",
        "status": status,
        "detail": "4 runs",
        "measured": {
            "tolerance": 1e-4,
            "worst_by_tensor": {"logits": 2e-6, "h_next": 1e-7},
            "tensor": "logits",
        },
        "curves": {"logits": CURVE, "h_next": CURVE[::-1]},
    }
    return Check.model_validate(content | changes)


def report(*checks: Check, path: str = "onnx/step.onnx") -> VerifyReport:
    contract = Check(name="contract", status="passed", detail="3 inputs")
    one = ArtifactReport(
        path=path, format="onnx", precision="float32", bytes=12_345, checks=(contract, *checks)
    )
    waiting = tuple(
        Check(name=name, status="not run", detail="no Mac here")
        for name in ("contract", "rollout", "extra")
    )
    two = ArtifactReport(
        path="coreml/step.mlpackage", format="coreml", precision="float16", bytes=2, checks=waiting
    )
    return VerifyReport(
        bundle="/somewhere/private/tiny", reference="eager torch", steps=20, artifacts=(one, two)
    )


def parsed(made: VerifyReport) -> Xml.Element:
    return Xml.fromstring(to_html(made).encode())


def words(element: Xml.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def test_verdict_reference_and_length() -> None:
    page = parsed(report(rollout()))
    (head,) = page.iter(X + "h1")
    assert words(head) == "tiny"
    whole = words(page)
    assert (
        "✓ Verified1 of 2 artifacts passed over 20 steps only (a full check has 256), 1 could "
        "not be judged; "
        "NOT checked: contract, rollout, extra (no Mac here)." in whole
    )
    assert "eager torch" in whole
    assert "20 steps" in whole
    assert "Not verified" in words(parsed(report(rollout("failed"))))
    assert "private" not in to_html(report(rollout()))


def test_the_table_has_every_artifact_and_check() -> None:
    page = parsed(report(rollout("failed")))
    table = next(page.iter(X + "table"))
    heads = [words(cell) for cell in table.findall(f"./{X}thead/{X}tr/{X}th")]
    assert heads == ["artifact", "precision", "size", "contract", "rollout", "extra"]
    rows = [[words(cell) for cell in row] for row in table.findall(f"./{X}tbody/{X}tr")]
    assert rows[0][0].startswith("onnx/step.onnx")
    assert rows[0][1:] == ["float32", "12.3 kB", "✓ passed", "✗ failed", "no such check"]
    assert rows[1][1:] == ["float16", "2 B", "– not run", "– not run", "– not run"]
    assert {cell.get("scope") for cell in page.iter(X + "th")} == {"col", "row"}
    links = [link.attrib["href"].removeprefix("#") for link in page.iter(X + "a")]
    identifiers = [element.attrib["id"] for element in page.iter() if "id" in element.attrib]
    assert len(links) == 2
    assert set(links) <= set(identifiers)
    assert len(identifiers) == len(set(identifiers))


def test_each_check_with_its_detail_and_numbers() -> None:
    whole = words(
        parsed(
            report(
                rollout(
                    "failed", measured={"identical": 3, "expected": list(range(30)), "odd": None}
                )
            )
        )
    )
    for word in (
        "4 runs",
        "identical3",
        "expected0, 1, 2",
        "… 14 more",
        "no Mac here",
        "contract, rollout, extra",
    ):
        assert word in whole


def test_what_checks_mean_is_said_for_those_that_are_known() -> None:
    whole = words(parsed(report(rollout())))
    assert (CHECKS["rollout"].__doc__ or "").splitlines()[0] in whole
    assert (CHECKS["golden"].__doc__ or "").splitlines()[0] not in whole  # not in this report


def test_curves_are_drawn_with_the_tolerance() -> None:
    page = parsed(report(rollout()))
    (figure,) = page.iter(X + "figure")
    lines = list(figure.iter(X + "polyline"))
    assert [line.get("class") for line in lines] == ["line line-0", "line line-1"]
    heights = [
        [float(point.split(",")[1]) for point in line.attrib["points"].split()] for line in lines
    ]
    assert len(heights[0]) == len(CURVE)
    assert heights[0] == sorted(heights[0], reverse=True)  # a growing error climbs: y points down
    assert heights[1] == heights[0][::-1]
    (limit,) = (line for line in figure.iter(X + "line") if line.get("class") == "limit")
    assert float(limit.attrib["y1"]) < min(heights[0])
    assert "tolerance 1e-04" in words(figure)
    (picture,) = figure.iter(X + "svg")
    assert [picture[0].tag, picture[1].tag] == [X + "title", X + "desc"]
    assert picture.attrib["aria-labelledby"].split() == [
        picture[0].attrib["id"],
        picture[1].attrib["id"],
    ]
    assert "logits at most 2e-06" in words(picture[1])


def test_without_a_tolerance_no_line_and_no_number() -> None:
    page = parsed(report(rollout(measured={})))
    assert not [line for line in page.iter(X + "line") if line.get("class") == "limit"]
    assert "tolerance" not in words(next(page.iter(X + "figure")))


def test_short_curves_are_a_table_only() -> None:
    page = parsed(report(rollout(curves={"logits": (1e-7, 2e-7)})))
    assert not list(page.iter(X + "figure"))
    assert "logits2e-071" in words(page)


@pytest.mark.parametrize("error", [0.0, math.inf, math.nan])
def test_zero_and_what_is_not_finite_have_their_place(error: float) -> None:
    page = parsed(
        report(rollout("failed", curves={"logits": (*CURVE, error), "h_next": (error,) * 21}))
    )
    (figure,) = page.iter(X + "figure")
    heights = [
        [float(point.split(",")[1]) for point in line.attrib["points"].split()]
        for line in figure.iter(X + "polyline")
    ]
    assert set(heights[1]) == {heights[0][-1]}
    if error == 0:
        assert heights[0][-1] > max(heights[0][:-1])
    else:
        assert heights[0][-1] < min(heights[0][:-1])
        assert "not finite" in words(page)


def test_a_long_curve_keeps_its_peak() -> None:
    curve = [1e-7] * 5000
    curve[3333] = 1e-2
    picture = Xml.fromstring(svg.plot({"h": curve}, tolerance=None, title="t", identifier="i"))
    (line,) = picture.iter("polyline")
    heights = [float(point.split(",")[1]) for point in line.attrib["points"].split()]
    assert len(heights) <= 400
    assert min(heights) < max(heights) - 100


def test_hostile_text_is_escaped_everywhere() -> None:
    check = rollout(
        "failed",
        name=HOSTILE,
        detail=HOSTILE,
        measured={HOSTILE: {HOSTILE: HOSTILE}},
        curves={HOSTILE: CURVE},
    )
    made = report(check, path=HOSTILE).model_copy(update={"bundle": HOSTILE, "reference": HOSTILE})
    page = to_html(made)
    assert "<script" not in page
    assert "\x00" not in page
    root = Xml.fromstring(page.encode())
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
    assert "<script>alert(1)</script>" in words(root)


@given(
    st.text(st.characters(codec=None)),
    st.lists(st.floats(min_value=0) | st.just(math.nan), min_size=1, max_size=12),
)
def test_any_report_gives_a_well_formed_page(text: str, curve: list[float]) -> None:
    check = rollout(
        "failed",
        name=text,
        detail=text,
        curves={text: tuple(curve)},
        measured={text: curve, "tolerance": curve[0]},
    )
    parsed(report(check, path=text))


def test_nothing_is_fetched() -> None:
    page = to_html(report(rollout()))
    root = Xml.fromstring(page.encode())
    assert not {element.tag for element in root.iter()} & {
        X + tag for tag in ("script", "link", "img", "iframe", "object")
    }
    assert not [element for element in root.iter() if "src" in element.attrib]
    assert all(link.attrib["href"].startswith("#") for link in root.iter(X + "a"))
    assert re.findall(r"https?://[^\"']*", page) == [
        "http://www.w3.org/1999/xhtml"
    ]  # the name of HTML, not an address
    assert "url(" not in page
    assert "@import" not in page


def test_headings_go_down_step_by_step() -> None:
    levels = [int(tag) for tag in re.findall(r"<h([1-6])", to_html(report(rollout())))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_an_empty_report() -> None:
    made = VerifyReport(bundle="tiny", reference="nothing", steps=1, artifacts=())
    assert "0 of 0 artifacts passed" in words(parsed(made))
