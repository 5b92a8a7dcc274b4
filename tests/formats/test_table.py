"""The table of formats: every row can be resolved, chosen and judged; what is not installed is
named.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from edgernn import formats
from edgernn.errors import ContractError, UnavailableError, UsageError
from edgernn.export.base import Exporter
from edgernn.export.pack import export_bundle
from edgernn.formats import (
    FORMATS,
    PRECISIONS,
    REFERENCE,
    YARDSTICK,
    by_name,
    default_rows,
    installed,
    promised,
    resolve,
    select,
)
from edgernn.formats.installed import install_command
from edgernn.sessions.base import Session

ROWS = tuple(FORMATS.values())


def test_rows_are_found_by_their_name() -> None:
    assert all(by_name(row.name) is row for row in ROWS)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match=f"expected one of {', '.join(FORMATS)}; did you mean onnx"
    ):
        by_name("onxx")


def test_a_selection_keeps_the_tables_order_and_takes_families() -> None:
    assert select(None) == ROWS
    assert select(reversed([row.name for row in ROWS])) == ROWS
    for row in ROWS:
        family = tuple(other for other in ROWS if other.family == row.family)
        assert select([row.family]) == select(row.family) == family
        alone = family if row.name == row.family else (row,)
        assert select([row.name]) == select([row.name, row.name]) == alone
        assert select(name for name in [row.name]) == alone


@pytest.mark.parametrize("wanted", [["tflite"], ["onnx", "ONNX"], ["float16"], [""]])
def test_an_unknown_selection_lists_names_and_families(wanted: list[str]) -> None:
    known = sorted({name for row in ROWS for name in (row.name, row.family)})
    listed = re.escape(", ".join(known))
    with pytest.raises(UsageError, match=rf"unknown format '\w*'; expected one of {listed}"):
        select(wanted)


def test_an_empty_selection_is_refused() -> None:
    with pytest.raises(UsageError, match="no format given"):
        select([])


def test_the_default_precision_goes_unnamed_in_a_path() -> None:
    row = by_name("coreml")
    paths = [row.path(precision) for precision in row.precisions]
    assert paths[:3] == [
        "coreml/step.mlpackage",
        "coreml/step-float32.mlpackage",
        "coreml/step-int8.mlpackage",
    ]
    assert by_name("coreml-mlstate").path("float16") == "coreml/step_mlstate.mlpackage"


def test_each_graph_has_a_file_of_its_own() -> None:
    assert by_name("onnx").path("float32", "encode") == "onnx/encode.onnx"
    assert by_name("coreml").path("float32", "encode") == "coreml/encode-float32.mlpackage"
    assert by_name("torchscript").graphs == ("encode", "step")
    assert by_name("coreml-mlstate").graphs == ("step",)


def test_a_familys_first_row_writes_every_graph() -> None:
    """What a row leaves out is written by the first of its family."""
    for row in ROWS:
        first = select(row.family)[0]
        assert set(first.graphs) >= set(row.graphs)
        assert set(first.graphs) == {"encode", "step"}


def test_no_two_artifacts_share_a_path() -> None:
    paths = [
        row.path(precision, graph)
        for row in ROWS
        for precision in row.precisions
        for graph in row.graphs
    ]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_names_an_exporter_and_a_session(row: formats.Format) -> None:
    try:
        exporter = resolve(row.exporter or "", needed_for="this test", extra=row.export_extra)
        session = resolve(row.session, needed_for="this test", extra=row.run_extra)
    except UnavailableError as error:
        assert not row.by_default, "the gate has what is written by default"
        pytest.skip(str(error))
    assert issubclass(exporter, Exporter)
    assert exporter.format_name == row.name
    assert issubclass(session, Session)


def test_the_reference_is_a_session_and_no_format_to_export_to() -> None:
    assert issubclass(
        resolve(REFERENCE.session, needed_for="this test", extra=REFERENCE.run_extra), Session
    )
    assert REFERENCE.exporter is None
    assert REFERENCE.name not in FORMATS


@pytest.mark.parametrize(
    ("row", "precision"),
    [(row, precision) for row in ROWS for precision in row.precisions],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_precision_on_offer_has_a_promise_and_its_reason(
    row: formats.Format, precision: str
) -> None:
    promise = row.promise(precision)
    assert 0 < promise.rollout < 1
    assert len(promise.reason.split()) > 3
    assert promise.forced == promise.integers == (promise.top1 == 0)
    assert not (promise.exact and (promise.half or promise.integers))
    assert promised(row.name, precision) is promise
    assert precision in PRECISIONS


def test_rows_of_a_family_promise_the_same() -> None:
    for row in ROWS:
        for precision, promise in row.promises.items():
            assert by_name(row.family).promises.get(precision, promise) == promise


def test_what_the_smallest_may_lose_is_for_the_user_to_say() -> None:
    assert by_name("onnx").promise("smallest").perplexity == 0


def test_what_is_written_by_default_is_what_the_extra_export_brings() -> None:
    for row in default_rows():
        assert row.export_extra in {None, "export"}
    assert YARDSTICK in default_rows()


def test_where_a_runtime_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    for system, needs in (("Linux", "macOS"), ("Darwin", None)):
        monkeypatch.setattr("platform.system", lambda found=system: found)
        assert by_name("coreml").needs_platform() == needs
        assert by_name("onnx").needs_platform() is None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_encode_graph_is_not_offered_where_only_a_step_is(row: formats.Format) -> None:
    assert set(row.step_only) <= set(row.precisions[1:]), "the default is for every graph"
    for precision in row.precisions:
        assert row.offers("step", precision)
        assert row.offers("generate", precision), "it holds a step"
        assert row.offers("encode", precision) == (precision not in row.step_only)
        assert row.precision_of("step", precision) == precision
        seen = row.precisions[0] if precision in row.step_only else precision
        assert row.precision_of("encode", precision) == seen
    assert not row.offers("step", "int3")
    assert row.precision_of("step", "int3") == row.precisions[0]


def test_a_precision_without_a_tolerance_is_not_judged_by_another_ones() -> None:
    with pytest.raises(ContractError, match="promises nothing for onnx in 'int3'"):
        by_name("onnx").promise("int3")


@pytest.mark.parametrize("extra", ["export", None], ids=["an extra", "the base install"])
@pytest.mark.parametrize(
    "imported", ["package_that_is_not_there", "package_that_is_not_there.part"]
)
def test_a_package_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str | None, imported: str
) -> None:
    (tmp_path / "needs_something.py").write_text(f"import {imported}\n\n\nclass Runs: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    advice = re.escape(install_command(extra))
    with pytest.raises(
        UnavailableError, match=rf"running x needs .*'package_that_is_not_there.*; run: {advice}$"
    ):
        resolve("needs_something:Runs", needed_for="running x", extra=extra)


def test_a_folder_with_the_name_of_a_package_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundle_folder_like_a_package").mkdir()  # as a bundle's onnx/ and openvino/
    (tmp_path / "needs_a_folder.py").write_text("from bundle_folder_like_a_package import model\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnavailableError, match="'bundle_folder_like_a_package', which is not inst"):
        resolve("needs_a_folder:Runs", needed_for="running x", extra=None)


def test_a_hole_in_edgernn_itself_is_no_missing_package() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"edgernn\.sessions\.nothing"):
        resolve("edgernn.sessions.nothing:Runs", needed_for="running x", extra=None)


def test_what_has_no_wheel_for_a_python_is_left_out_unless_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, checkpoint_folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(installed.without_wheel, "__defaults__", ((3, 14),))
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    why = "coremltools has no wheel for Python 3.14; use Python 3.13 or older for what needs it"
    without = {row.name for row in default_rows() if "coremltools" in row.packages}
    assert formats.left_out() == dict.fromkeys(without, why)
    told: list[str] = []
    bundle = export_bundle(checkpoint_folder, tmp_path / "b", steps=4, tell=told.append)
    written = {row.name for row in default_rows()} - without
    assert {artifact.format for artifact in bundle.manifest.artifacts} == written
    assert f"coreml is left out: {why}" in told
    monkeypatch.setitem(sys.modules, "coremltools", None)
    monkeypatch.delitem(sys.modules, "edgernn.export.to_coreml.exporter", raising=False)
    with pytest.raises(
        UnavailableError, match=r"exporting coreml cannot be done here: coremltools has no wheel"
    ) as caught:
        export_bundle(checkpoint_folder, tmp_path / "c", to="coreml", steps=4)
    assert "Python 3.13 or older" in str(caught.value)
