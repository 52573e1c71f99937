"""Shells that complete a command line, with the scripts that the programs print."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

from procs import BUILD, GUARD, clean_environment, wait_until


def script(program: str, shell: str) -> str:
    return subprocess.run([BUILD / "cmd" / program / program, "--completion", shell], check=True,
                          capture_output=True, text=True, timeout=GUARD).stdout


def _run(argv: list[str | Path], folder: Path) -> str:
    env = clean_environment() | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "xdg"),
                                 "XDG_DATA_HOME": str(folder / "xdg")}
    return subprocess.run(argv, cwd=folder, env=env, check=True, capture_output=True, text=True,
                          timeout=GUARD, stdin=subprocess.DEVNULL).stdout


#: Splits the line as bash does, at "=" and ":" too, and calls what is registered for the command.
BASH = r"""
source "$1"
line=$2
read -ra COMP_WORDS <<<"$(sed -E 's/([=:])/ \1 /g' <<<"$line")"
[[ $line == *[\ =:] ]] && COMP_WORDS+=("")
[[ $line == *[=:] ]] && unset 'COMP_WORDS[-1]'
COMP_LINE=$line COMP_POINT=${#line} COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
function=$(complete -p "${COMP_WORDS[0]}" | sed -E 's/.*-F ([^ ]+).*/\1/')
"$function" "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>&2
printf '%s\n' "${COMPREPLY[@]}"
"""


def complete_bash(program: str, line: str, folder: Path) -> list[str]:
    """What is offered for the last word of LINE."""
    path = folder / f"{program}.bash"
    path.write_text(script(program, "bash"))
    return [word for word in _run(["bash", "--norc", "-c", BASH, "bash", path, line],
                                  folder).splitlines() if word and word != path.name]


def complete_fish(program: str, line: str, folder: Path) -> list[str]:
    command = "echo $argv[1] | source; complete -C $argv[2]"
    output = _run(["fish", "--no-config", "-c", command, script(program, "fish"), line], folder)
    return [offer.split("\t")[0] for offer in output.splitlines()]


ZSHRC = """
PROMPT= RPROMPT=
unsetopt list_beep auto_menu auto_list prompt_cr prompt_sp
fpath=({functions} $fpath)
autoload -Uz compinit
compinit -u -d {folder}/dump
show() {{ print -rn -- "$BUFFER" >{folder}/shown.new && mv {folder}/shown.new {folder}/shown }}
zle -N show
bindkey -e
bindkey '^I' complete-word
bindkey '^T' show
"""


def complete_zsh(program: str, line: str, folder: Path) -> str:
    """What becomes of LINE when Tab is pressed at its end, in a terminal."""
    functions, rc = folder / "functions", folder / "rc"
    for new in (functions, rc):
        new.mkdir(exist_ok=True)
    (functions / f"_{program}").write_text(script(program, "zsh"))
    (rc / ".zshrc").write_text(ZSHRC.format(functions=functions, folder=rc))
    shown = rc / "shown"
    shown.unlink(missing_ok=True)
    terminal, end = pty.openpty()
    env = clean_environment() | {"ZDOTDIR": str(rc), "HOME": str(folder), "TERM": "dumb"}
    shell = subprocess.Popen(["zsh", "-d", "-i"], cwd=folder, env=env, stdin=end, stdout=end,
                             stderr=end, start_new_session=True)
    os.close(end)
    try:
        os.write(terminal, f"{line}\t\x14".encode())
        wait_until(lambda: shown.exists() or shell.poll() is not None, "zsh's completion")
        return shown.read_text()
    finally:
        shell.kill()
        shell.wait(GUARD)
        os.close(terminal)
