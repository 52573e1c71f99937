"""The options, wherever they are written down: each is everywhere, and nothing else is.

The programs themselves say which options there are, so that a new one is noticed.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import NamedTuple

import pytest

import checks_manual
from procs import REPOSITORY
from shells import complete_bash, complete_fish, script
from test_cli import run

PAGES = {"wispsocks": "wispsocks.1", "wispd": "wispd.8", "wispcheck": "wispcheck.1"}
CONFIG_PAGE = "wispsocks.conf.5"
each_program = pytest.mark.parametrize("program", PAGES)


class Option(NamedTuple):
    name: str
    letter: str
    argument: str
    default: str


@functools.cache
def options(program: str) -> dict[str, Option]:
    """The options as --help has them."""
    pattern = re.compile(r"^  (?:-(\w),|   ) --([\w-]+)(?: (\S+(?: \S+)*))?(?:\n| ) +"
                         r"((?:.+\n)(?: {20,}.+\n)*)", re.MULTILINE)
    found = {}
    for letter, name, argument, text in pattern.findall(run(program, "--help").stdout):
        default = re.search(r"\(([^()\s]+)\)\s*$", text)
        found[name] = Option(name, letter, argument, default[1] if default else "")
    assert {"help", "version", "listen"} <= found.keys()
    return found


@functools.cache
def page(name: str) -> str:
    return (REPOSITORY / "man" / name).read_text()


def items(text: str) -> dict[str, str]:
    """What stands in a list behind each item's head."""
    parts = re.split(r"^\.It (.*)\n", text, flags=re.MULTILINE)
    return {head: re.split(r"^\.El", body, flags=re.MULTILINE)[0]
            for head, body in zip(parts[1::2], parts[2::2])}


@functools.cache
def described(program: str) -> dict[str, tuple[str, str]]:
    """The options in the program's manual page: the letter, and the description as plain text."""
    found = {}
    for head, body in items(page(PAGES[program])).items():
        if match := re.match(r"(?:Fl (\w) , )?Fl -([\w-]+)", head):
            assert match[2] not in found, f"--{match[2]} is described twice"
            text = re.sub(r"^\.Pq (.*?)( [.,;])?$", r"(\1)\2", body, flags=re.MULTILINE)
            text = re.sub(r"^\.\w+ ", "", text, flags=re.MULTILINE)
            found[match[2]] = (match[1] or "", " ".join(text.split()))
    return found


@each_program
def test_bash(program: str, tmp_path: Path) -> None:
    offered = complete_bash(program, f"{program} --", tmp_path)
    assert sorted(offered) == sorted(f"--{name}" for name in options(program))


@each_program
def test_fish(program: str, tmp_path: Path) -> None:
    offered = complete_fish(program, f"{program} --", tmp_path)
    assert sorted({word.rstrip("=") for word in offered}) == sorted(
        f"--{name}" for name in options(program))


@each_program
def test_zsh(program: str) -> None:
    offered = re.findall(r"^\t\t'[^\[']*--([\w-]+)=?\[", script(program, "zsh"), re.MULTILINE)
    assert sorted(offered) == sorted(options(program))


@each_program
def test_manual_page(program: str) -> None:
    assert sorted(described(program)) == sorted(options(program))
    for name, (letter, _) in described(program).items():
        assert letter == options(program)[name].letter, name


@each_program
def test_manual_page_names_no_other_options(program: str) -> None:
    named = set(re.findall(r"Fl -([\w-]+)", page(PAGES[program])))
    named |= set(re.findall(rf"{program} [^\n]*--([a-z-]+)", page(PAGES[program])))
    assert named <= set(options(program))


@each_program
def test_defaults(program: str) -> None:
    for option in options(program).values():
        text = described(program)[option.name][1]
        value = re.escape(option.default)
        if option.default:
            assert re.search(rf"\({value}\)|[Tt]he default is {value}[. ]|"
                             rf"(?<!\S){value}, which is the default", text), \
                f"--{option.name} ({option.default}): {text}"
        else:
            assert "default is" not in text, f"--{option.name}: --help says no default"


@each_program
def test_arguments(program: str) -> None:
    """The value's name is the same in --help and in the manual page."""
    heads = items(page(PAGES[program]))
    for option in options(program).values():
        (head,) = [head for head in heads if re.search(rf"Fl -{option.name}(?: |$)", head)]
        if "|" not in head:
            assert (" Ar " in head) == bool(option.argument), option.name
            assert head.endswith(option.argument), option.name


@each_program
def test_configuration_page(program: str, tmp_path: Path) -> None:
    """It has the options that the program takes from a file, with what they are."""
    config = tmp_path / "test.conf"

    def may_stand_there(name: str) -> bool:
        # Twice, for the options that may be empty.
        config.write_text(2 * f"{name} =\n")
        said = run(program, "--config", config).stderr
        assert name in said and "no option" not in said
        return "no place" not in said

    section = re.search(rf"^\.Ss Options of {program}\n(.*?)^\.S[sh] ", page(CONFIG_PAGE),
                        re.MULTILINE | re.DOTALL)
    assert section
    found = {head.removeprefix("Cm "): body for head, body in items(section[1]).items()}
    assert sorted(found) == sorted(filter(may_stand_there, options(program)))
    assert list(found) == sorted(found), "they stand in the order of the alphabet"
    for name, body in found.items():
        assert body.strip(), f"{name} is not described"
        assert ("Ar flag" in body) == (not options(program)[name].argument
                                       and name not in ("verbose", "quiet")), name


def test_configuration_page_has_a_section_for_each_program() -> None:
    assert re.findall(r"^\.Ss Options of (\w+)", page(CONFIG_PAGE), re.MULTILINE) == list(PAGES)


@pytest.mark.parametrize("name", [*PAGES.values(), CONFIG_PAGE])
def test_examples(name: str) -> None:
    assert ".Sh EXAMPLES" in page(name)


def test_checks() -> None:
    """The manual page has each check, with what --list says of it."""
    expected = checks_manual.section()
    assert checks_manual.marked(page(PAGES["wispcheck"]))[0] == expected, (
        "run tests/integration/checks_manual.py")
    assert ".It Cm streams/" in expected
