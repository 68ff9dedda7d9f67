"""The demo's table: what counts as found, as the right scope, and as blame without reason."""

from monitor.app.demo.report import Found, Injected, compare

LINES = frozenset(f"L{i}" for i in range(20))
SPLITTER = Injected("splitter cut", "outage", "element", "north/ex-1/olt-1/pon-1/split-1", LINES, 100.0, 200.0)


def incident(
    scope: str = SPLITTER.scope_name,
    lines: frozenset[str] = LINES,
    at_s: float = 112.0,
    kind: str = "outage",
    scope_kind: str = "element",
    ref: str = "i1",
) -> Found:
    return Found(ref, kind, scope_kind, scope, lines, at_s, at_s - 10)


def test_found_with_its_scope() -> None:
    """An incident with the fault's lines and scope is found, right, and timed from the injection."""
    report = compare([SPLITTER], [incident()])
    assert (report.rows[0].found, report.rows[0].scope_right, report.rows[0].seconds) == (True, True, 12.0)
    assert report.ok


def test_wrong_element_is_found_but_not_right() -> None:
    """The right lines under the wrong name count as found, and the demo as failed."""
    report = compare([SPLITTER], [incident(scope="north/ex-1/olt-1/pon-1")])
    assert report.rows[0].found
    assert not report.rows[0].scope_right
    assert not report.ok


def test_another_element_is_blame() -> None:
    """An incident about other lines is listed as blame, and the fault stays unfound."""
    report = compare([SPLITTER], [incident(scope="south", lines=frozenset({"X1", "X2"}))])
    assert not report.rows[0].found
    assert [one.scope_name for one in report.blamed] == ["south"]


def test_split_incident_is_blame() -> None:
    """Of two incidents for one fault the better one is it; the other is blame."""
    half = incident(scope="north/ex-1/olt-1", lines=frozenset(sorted(LINES)[:12]), ref="i2")
    report = compare([SPLITTER], [half, incident()])
    assert report.rows[0].by == "i1"
    assert [one.ref for one in report.blamed] == ["i2"]


def test_an_incident_from_another_time_is_not_it() -> None:
    """The same scope long before or long after the fault does not count."""
    assert not compare([SPLITTER], [incident(at_s=50.0)]).rows[0].found
    assert not compare([SPLITTER], [incident(at_s=300.0)]).rows[0].found


def test_area_is_right_when_the_centres_are_near() -> None:
    """An area is right when the centres lie within the larger radius."""
    cut = Injected("power", "outage", "area", "52.0000,13.0000,0.50", LINES, 0.0)
    near = incident("52.0020,13.0020,0.30", scope_kind="area")
    far = incident("52.0200,13.0200,0.30", scope_kind="area")
    assert compare([cut], [near]).rows[0].scope_right
    assert not compare([cut], [far]).rows[0].scope_right


def test_line_faults_match_flags_of_that_line_only() -> None:
    """A slow line is found by a flag of its own kind on that very line; a flag on a healthy line is blame."""
    slow = Injected("slow line", "slow", "line", "L7", frozenset({"L7"}), 0.0)
    own = incident("L7", frozenset({"L7"}), 40.0, "slow", "line", "f1")
    other = incident("L8", frozenset({"L8"}), 40.0, "slow", "line", "f2")
    report = compare([slow], [own, other])
    assert report.rows[0].scope_right
    assert [one.ref for one in report.blamed] == ["f2"]


def test_a_flag_on_an_affected_line_is_no_blame() -> None:
    """A line that flaps while its splitter is cut may be called unstable without that counting as false."""
    flag = incident("L3", frozenset({"L3"}), 130.0, "unstable", "line", "f1")
    assert compare([SPLITTER], [incident(), flag]).ok


def test_source_matches_by_scope() -> None:
    """A blind prober has no lines: kind and scope decide."""
    blind = Injected("blind", "source", "source", "default", frozenset(), 0.0)
    assert compare([blind], [incident("default", frozenset(), 3.0, "source", "source")]).ok
    assert not compare([blind], [incident("mqtt", frozenset(), 3.0, "source", "source")]).ok


def test_json_lists_faults_and_blame() -> None:
    """The JSON form has an object a fault, and one with a null fault for what matches none."""
    rows = compare([SPLITTER], [incident(scope="south", lines=frozenset({"X"}))]).as_json()
    assert [row["fault"] for row in rows] == ["splitter cut", None]
