"""The manual page's section on the checks of wispcheck: made of what the program says of them.

Run by itself, it writes the section anew:

    WISP_BUILD=build python tests/integration/checks_manual.py
"""

from __future__ import annotations

import re
import subprocess
import textwrap
from typing import NamedTuple

from procs import BUILD, GUARD, REPOSITORY, clean_environment

PAGE = REPOSITORY / "man" / "wispcheck.1"
BEGIN = ".\\\" From here on, made by tests/integration/checks_manual.py of what wispcheck --list says.\n"
END = ".\\\" Up to here.\n"
WIDTH = 118


class Check(NamedTuple):
    name: str
    expected: str
    section: str


class Group(NamedTuple):
    name: str
    about: str
    checks: list[Check]


def groups(*options: str) -> list[Group]:
    """What `wispcheck --list` says."""
    listed = subprocess.run([BUILD / "cmd/wispcheck/wispcheck", "--list", *options], check=True,
                            capture_output=True, text=True, timeout=GUARD,
                            env=clean_environment()).stdout
    found = []
    for block in listed.rstrip("\n").split("\n\n") if listed else []:
        head, *lines = block.split("\n")
        assert len(lines) % 3 == 0, block
        checks = [Check(name.removeprefix("  "), expected.removeprefix("      expects: "),
                        section.removeprefix("      section: "))
                  for name, expected, section in zip(lines[::3], lines[1::3], lines[2::3])]
        found.append(Group(*head.split(": ", 1), checks))
    return found


def _text(text: str) -> str:
    """As lines of the page, where each sentence begins a new one."""
    lines = [line for sentence in re.split(r"(?<=\.) ", text.replace("\\", "\\e"))
             for line in textwrap.wrap(sentence, WIDTH, break_on_hyphens=False,
                                       break_long_words=False)]
    return "".join(("\\&" if line[0] in ".'" else "") + line + "\n" for line in lines)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def section() -> str:
    """The section, between its marks."""
    text = _text("Each check has a name, by which it can be picked. "
                 "What a right server does is followed by where that is said: in the "
                 "specification of version 1 (Wisp) or 2 (Wisp v2) of the protocol, or in an RFC.")
    for group in groups():
        text += f".Ss {group.name}\n" + _text(_sentence(group.about))
        text += ".Bl -tag -width Ds\n"
        for check in group.checks:
            text += f".It Cm {check.name}\n" + _text(_sentence(check.expected))
            text += ".br\n" + _text(f"({check.section})")
        text += ".El\n"
    return BEGIN + text + END


def marked(page: str) -> re.Match[str]:
    """The section as it stands in a page."""
    match = re.search(re.escape(BEGIN) + ".*?" + re.escape(END), page, re.DOTALL)
    assert match, "the marks of the section are missing"
    return match


if __name__ == "__main__":
    old = PAGE.read_text()
    PAGE.write_text(old.replace(marked(old)[0], section()))
