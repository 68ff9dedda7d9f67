"""Columns, groups and elements against the simplest model of them: lists, sets and dicts."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.inventory.assemble import order_rows
from monitor.inventory.columns import CategoryColumn, GrowingArray, KeyIndex, StringColumn
from monitor.inventory.groups import build_groups
from monitor.inventory.topology import build_elements, order_paths

texts = st.lists(st.text(max_size=6), max_size=40)


@given(texts, st.randoms())
def test_columns_are_lists(values: list[str], random) -> None:  # type: ignore[no-untyped-def]
    """Both kinds of column hold what was put in, in any order asked for."""
    order = list(range(len(values)))
    random.shuffle(order)
    rows = np.array(order, np.int64)
    for column in (StringColumn.of(values), CategoryColumn.of(values)):
        assert list(column) == values
        assert [column[i] for i in range(len(values))] == values
        assert list(column.take(rows)) == [values[i] for i in order]
        assert column.span(1, max(1, len(values) - 1)) == values[1 : max(1, len(values) - 1)]
    assert StringColumn.of(values).many(rows) == [values[i] for i in order]


def test_a_large_column_is_taken_in_parts() -> None:
    """Reordering works across the borders of its parts, with letters of several bytes."""
    values = [f"ä{i}" * (i % 3) for i in range(70_000)]
    order = np.arange(70_000)[::-1]
    assert list(StringColumn.of(values).take(order)) == values[::-1]


@given(st.lists(st.lists(st.integers(0, 1000), max_size=20), max_size=5))
def test_growing_array(parts: list[list[int]]) -> None:
    """What is appended comes out in one piece, once."""
    growing = GrowingArray(np.int32)
    for part in parts:
        growing.extend(np.array(part, np.int32))
    assert growing.take().tolist() == [n for part in parts for n in part]
    assert len(growing) == 0


@given(texts, st.text(max_size=3))
def test_index(values: list[str], other: str) -> None:
    """An index gives every row of a key (and perhaps others); empty keys are not in it."""
    index = KeyIndex(values, len(values))
    for key in {*values, other} - {""}:
        rows = [i for i, v in enumerate(values) if v == key]
        assert set(rows) <= set(index.candidates(key))
    for rows in index.repeated():
        assert len(rows) > 1
    repeated = {i for rows in index.repeated() for i in rows}
    assert {i for i, v in enumerate(values) if v and values.count(v) > 1} <= repeated


paths = st.lists(
    st.lists(st.sampled_from(["a", "b", "a-", "a b", "é"]), min_size=1, max_size=4).map("/".join),
    min_size=1,
    max_size=25,
)


@given(paths, st.randoms())
@settings(max_examples=60)
def test_elements(leaves: list[str], random) -> None:  # type: ignore[no-untyped-def]
    """Every element has exactly the lines whose path begins with it; sums, ancestors and children agree."""
    ordered = order_paths(leaves)
    position = {p: i for i, p in enumerate(ordered)}
    codes = np.array([position[leaf] for leaf in leaves], np.int32)
    ids = [f"{random.random()}" for _ in leaves]
    order = order_rows(codes, StringColumn.of(ids))
    assert [(codes[i], ids[i]) for i in order] == sorted(zip(codes.tolist(), ids, strict=True))
    sorted_leaves = [leaves[i] for i in order]
    elements = build_elements(ordered, codes[order], {})
    weight = np.array([random.randint(0, 5) for _ in leaves])
    sums = elements.sum(weight)
    for i, path in enumerate(elements.paths):
        under = [k for k, leaf in enumerate(sorted_leaves) if (leaf + "/").startswith(path + "/")]
        assert list(range(elements.lo[i], elements.hi[i])) == under
        assert sums[i] == weight[under].sum()
        parts = path.split("/")
        assert [elements.paths[a] for a in elements.ancestors(i)] == [
            "/".join(parts[:n]) for n in range(len(parts), 0, -1)
        ]
        assert elements.depth[i] == len(parts) - 1
        for child in elements.children(i):
            assert elements.paths[child].rpartition("/")[0] == path
        assert elements.index_of(path) == i


memberships = st.dictionaries(
    st.sampled_from(["bng:1", "bng:10", "bng:2", "bng-x:1", "cpe:A"]),
    st.lists(st.lists(st.integers(0, 14), unique=True).map(sorted), min_size=1, max_size=3),
)


@given(memberships)
def test_groups(members: dict[str, list[list[int]]]) -> None:
    """A group has the union of its parts, ascending, and every line knows its groups."""
    groups = build_groups({n: [np.array(p, np.int32) for p in parts] for n, parts in members.items()}, 15)
    model = {name: sorted({i for part in parts for i in part}) for name, parts in members.items()}
    for name, lines in model.items():
        at = groups.index_of(name)
        assert at is not None
        assert groups.scope_name(at) == name
        assert groups.lines_of(at).tolist() == lines
        assert groups.size()[at] == len(lines)
    for i in range(15):
        assert {groups.scope_name(int(g)) for g in groups.groups_of(i)} == {
            n for n, lines in model.items() if i in lines
        }
    order = list(zip(groups.kinds, groups.names, strict=True))
    assert order == sorted(order)
