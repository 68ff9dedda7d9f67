"""The configuration file: what is wrong is said with file, line and setting; the example names every setting."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from monitor.app import secrets
from monitor.app.settings import Settings, load_settings
from monitor.inventory import InputProblems
from monitor.secret import SecretProblem

EXAMPLE = Path(__file__).parents[2] / "config" / "faultline.example.toml"


def problem_of(tmp_path: Path, text: str) -> str:
    file = tmp_path / "f.toml"
    file.write_text(text)
    with pytest.raises(InputProblems) as caught:
        load_settings(file)
    return str(caught.value).replace(str(file), "f.toml")


def test_unknown_key_is_named_with_its_line(tmp_path: Path) -> None:
    """A misspelt setting is an error that names file, line and setting."""
    assert problem_of(tmp_path, "[icmp]\nenabled = true\nintervall_s = 3\n") == (
        "f.toml:3: icmp.intervall_s: is not a setting"
    )


def test_unknown_table_is_named(tmp_path: Path) -> None:
    """A table that no part reads is an error, not ignored."""
    assert "f.toml:1: icpm: is not a setting" in problem_of(tmp_path, "[icpm]\nenabled = true\n")


def test_wrong_type_names_the_setting(tmp_path: Path) -> None:
    """A text where a number belongs names the setting and the line."""
    text = problem_of(tmp_path, '[daemon]\nsource = "a"\nstep_s = "fast"\n')
    assert text.startswith("f.toml:3: daemon.step_s: ")


def test_wrong_value_names_the_setting(tmp_path: Path) -> None:
    """A value out of range is refused with what would be right."""
    assert "give debug, info" in problem_of(tmp_path, '[daemon]\nlog_level = "loud"\n')


def test_a_wrong_value_names_the_line_of_its_own_setting(tmp_path: Path) -> None:
    """A value that a part refuses is shown with the line and name of that very setting, also in one of many tables."""
    text = problem_of(tmp_path, "[icmp]\nenabled = true\ntimeout_s = 1\n\nprobes = 0\n")
    assert text.startswith("f.toml:5: icmp.probes: ")
    text = problem_of(tmp_path, '[daemon]\nzone = "Europe/Berlin"\nlog_level = "loud"\n')
    assert text.startswith("f.toml:3: daemon.log_level: ")
    good = '[[dns.resolvers]]\nname = "r1"\naddress = "192.0.2.1"\n'
    text = problem_of(tmp_path, good + '[[dns.resolvers]]\nname = "r2"\naddress = "nowhere"\n')
    assert text.startswith("f.toml:6: dns.resolvers.address: ")
    # What does not stand in the file is named with the nearest table.
    text = problem_of(tmp_path, "[alerts.slack]\nenabled = true\n")
    assert text.startswith("f.toml:1: alerts.slack.channel: ")


def test_secrets_are_read_before_anything_starts(tmp_path: Path) -> None:
    """A secret or certificate of an enabled part that cannot be read is named at once; others are not looked at."""
    (tmp_path / "empty").write_text("")
    file = tmp_path / "f.toml"
    file.write_text(
        '[cpe]\nenabled = true\npassword_file = "none"\n[alerts.slack]\ntoken_file = "none-either"\n'
        '[api]\ntls_cert_file = "empty"\ntls_key_file = "gone"\n'
    )
    found = secrets.problems(load_settings(file))
    assert [text.partition(":")[0] for text in sorted(found)] == [
        "api.tls_cert_file",
        "api.tls_key_file",
        "cpe.password_file",
    ]
    with pytest.raises(SecretProblem, match="and 2 more"):
        secrets.require(load_settings(file))


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    """A syntax error names the line it is in."""
    assert problem_of(tmp_path, "[daemon]\nsource = \n").startswith("f.toml:2: ")


def test_missing_file_says_so(tmp_path: Path) -> None:
    """A configuration file that is not there is named."""
    with pytest.raises(InputProblems, match=r"nowhere\.toml: cannot be read: No such file"):
        load_settings(tmp_path / "nowhere.toml")


def test_literal_secrets_are_refused(tmp_path: Path) -> None:
    """A secret written into the file is refused with how to give it instead, and is not repeated in the message."""
    text = problem_of(tmp_path, '[alerts.slack]\ntoken = "a-very-secret-thing"\n')
    assert "token_file or" in text
    assert "a-very-secret-thing" not in text


def test_relative_paths_belong_to_the_file(tmp_path: Path) -> None:
    """Relative paths are relative to the configuration file, wherever the daemon is started."""
    file = tmp_path / "f.toml"
    file.write_text('[inventory]\nfile = "lines.csv"\n[store]\nfolder = "data"\n')
    settings = load_settings(file)
    assert settings.inventory.file == str(tmp_path / "lines.csv")
    assert settings.store.folder == str(tmp_path / "data")


def leaves(struct: type[msgspec.Struct], prefix: str = "") -> list[str]:
    """Every setting of a settings struct, dotted."""
    found: list[str] = []
    for field in msgspec.structs.fields(struct):
        name = f"{prefix}{field.name}"
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found += leaves(field.type, f"{name}.")
        else:
            found.append(name)
    return found


def test_example_names_every_setting() -> None:
    """The example file mentions every setting that exists, active or commented out, under its own table."""
    tables: dict[str, set[str]] = {}
    table = ""
    for line in EXAMPLE.read_text().splitlines():
        if head := re.match(r"#?\s*\[+([a-z_.]+)\]+\s*$", line):
            table = head[1]
        elif key := re.match(r"#?\s?([a-z0-9_]+) *= ", line):
            tables.setdefault(table, set()).add(key[1])
    named = {f"{t}.{k}" for t, keys in tables.items() for k in keys}
    missing = [
        s
        for s in leaves(Settings)
        if s not in named and not any(n.startswith(f"{s}.") for n in named) and s not in tables
    ]
    assert not missing, f"not in the example: {missing}"


def test_example_is_valid_and_holds_the_defaults(tmp_path: Path) -> None:
    """The example loads as it stands, and every commented-out setting shows the value that is in force."""
    text = EXAMPLE.read_text()
    file = tmp_path / "faultline.toml"
    file.write_text(text)
    load_settings(file)
    shown = re.sub(r"^# ?((\[+[a-z_.]+\]+)|([a-z0-9_]+ *= ))", r"\1", text, flags=re.M)
    tomllib.loads(shown)
    file.write_text(shown)
    load_settings(file)
