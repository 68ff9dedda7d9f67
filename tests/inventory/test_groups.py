"""Groups that are learned while running, beside those of the file."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.inventory import groups as module
from monitor.inventory.groups import CHANGING, FEW, Groups, GroupsFull, build_groups

LINES = 12
KINDS = ("cpe", "bng", "duct")
filed = st.dictionaries(
    st.tuples(st.sampled_from(KINDS), st.sampled_from("ABC")).map(":".join),
    st.lists(st.integers(0, LINES - 1), unique=True).map(sorted),
    max_size=6,
)
told = st.lists(
    st.tuples(st.integers(0, LINES - 1), st.sampled_from(("cpe", "bng")), st.sampled_from(("A", "B", "new", ""))),
    max_size=30,
)


def build(members: dict[str, list[int]], lines: int = LINES) -> Groups:
    return build_groups({name: [np.array(rows, np.int32)] for name, rows in members.items()}, lines)


def held(groups: Groups) -> dict[int, list[str]]:
    """What everything that can be asked says; it has to agree."""
    found: dict[int, list[str]] = {}
    everyone: Counter[str] = Counter()
    for line in range(len(groups.groups_ptr) - 1):
        found[line] = sorted(groups.scope_name(int(g)) for g in groups.groups_of(line))
        everyone.update(found[line])
    for g in range(len(groups)):
        name = groups.scope_name(g)
        assert groups.index_of(name) == g
        members = groups.lines_of(g).tolist()
        assert members == [line for line, names in found.items() if name in names]
        assert groups.size()[g] == len(members)
    some = np.array([1, 4, 5, 11], np.int32)
    spread = Counter(groups.scope_name(g) for g in groups.of_lines(some).tolist())
    assert spread == Counter(name for line in some.tolist() for name in found[line])
    return found


@given(filed, told)
def test_a_line_is_where_it_was_said_to_be(members: dict[str, list[int]], said: list[tuple[int, str, str]]) -> None:
    """Whatever is learned: of that kind a line is in the group named last, in the others as the file says; saved and
    loaded, or carried to lines in another order, it is the same; and the file's own groups have not changed."""
    base = build(members)
    groups = base.as_filed()
    model = held(base)
    for line, kind, name in said:
        before = model[line]
        rest = [g for g in before if g.partition(":")[0] != kind]
        model[line] = sorted(rest + ([f"{kind}:{name}"] if name else []))
        assert groups.assign(line, kind, name) == (model[line] != before)
    assert held(groups) == model
    assert held(base) == held(build(members))

    again = base.as_filed()
    again.load(groups.save())
    assert held(again) == model
    assert (again.kinds, again.names) == (groups.kinds, groups.names)

    to = np.roll(np.arange(LINES, dtype=np.int32), 5)
    newer = build({name: sorted(int(to[r]) for r in rows) for name, rows in members.items()})
    groups.carried(newer, to)
    assert held(newer) == {int(to[line]): names for line, names in model.items()}
    for line in groups.learned_rows().tolist():
        newer.forget(int(to[line]), CHANGING)
    assert held(newer) == {int(to[line]): names for line, names in held(base).items()}


def test_names_without_end_are_refused_and_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there are too many names a new one is refused; without those that hardly anybody has, there is room again,
    and the groups of many stay."""
    monkeypatch.setattr(module, "MAX_LEARNED", 50)
    groups = build({"cpe:A": list(range(100))}, 100)
    for line in range(FEW):
        groups.assign(line, "firmware", "honest")
    for number in range(49):
        groups.assign(99, "firmware", f"lie-{number}")
    with pytest.raises(GroupsFull):
        groups.assign(98, "firmware", "late")
    assert groups.assign(98, "firmware", "honest")
    fewer = groups.as_filed()
    groups.carried(fewer, np.arange(100, dtype=np.int32), FEW)
    assert fewer.assign(98, "cpe", "late")
    names = {fewer.scope_name(g) for g in range(len(fewer)) if fewer.size()[g]}
    assert names == {"cpe:A", "cpe:late", "firmware:honest"}
    assert fewer.named(99, "firmware") == ""


def test_kinds_that_stay() -> None:
    """A duct does not change while we run."""
    with pytest.raises(ValueError, match="duct"):
        build({}).assign(0, "duct", "d-2")
