"""``flow completion``: what a shell needs to know to complete the words of ``flow``, read off the parser.

Commands, options and the values that an option can have are completed; after ``--module`` the modules of the current folder. Names of pipelines
are not: they would take an import of the module at each press of the key.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ematix_flow.cli._command import DONE, Command

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class _Option:
    flags: tuple[str, ...]
    help: str
    values: tuple[str, ...] | None  # of its argument; None when it has none
    modules: bool  # its argument is a module


@dataclass(frozen=True)
class _Place:
    """Where the cursor is: behind these words of the command line."""

    at: str  # the commands, each with a space before it
    words: tuple[tuple[str, str], ...]  # that may come here, with their help
    options: tuple[_Option, ...]


def _places(parser: argparse.ArgumentParser, at: str = "") -> Iterator[_Place]:
    words: list[tuple[str, str]] = []
    options: list[_Option] = []
    below: list[tuple[str, argparse.ArgumentParser]] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            words += [(name, helps.get(name, "")) for name in action.choices]
            below += list(action.choices.items())
        elif action.option_strings:
            values = None if action.nargs == 0 else tuple(str(value) for value in action.choices or ())
            options.append(_Option(tuple(action.option_strings), _line(action.help), values, "--module" in action.option_strings))
        else:
            words += [(str(value), _line(action.help)) for value in action.choices or ()]
    yield _Place(at, tuple(words), tuple(options))
    for name, own in below:
        yield from _places(own, f"{at} {name}")


def _line(text: str | None) -> str:
    return " ".join((text or "").replace("%%", "%").split())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _patterns(texts: list[str]) -> str:
    return "|".join(_quoted(text) for text in texts)


def _bash(places: list[_Place]) -> str:
    known = _patterns([place.at for place in places if place.at])
    lines = [
        "# Completion of flow for bash:  source <(flow completion bash)",
        "_flow() {",
        "    local at='' i words=''",
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}",
        "    # --option=value comes as three words.",
        "    if [[ $cur == = ]]; then cur=''; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi",
        "    for ((i = 1; i < COMP_CWORD; i++)); do",
        '        case "$at ${COMP_WORDS[i]}" in',
        f'            {known}) at="$at ${{COMP_WORDS[i]}}" ;;',
        "        esac",
        "    done",
        '    case "$at:$prev" in',
    ]
    for place, option in _with_argument(places):
        patterns = _patterns([f"{place.at}:{flag}" for flag in option.flags])
        if option.modules:
            lines.append(f"        {patterns}) words=$(shopt -s nullglob; printf '%s\\n' *.py); words=${{words//.py/}} ;;")
        elif option.values:
            lines.append(f"        {patterns}) words={_quoted(' '.join(option.values))} ;;")
        else:
            lines.append(f"        {patterns}) return ;;")
    lines += ["        *)", "            case $at in"]
    for place in places:
        words = [word for word, _ in place.words] + [flag for option in place.options for flag in option.flags if flag.startswith("--")]
        lines.append(f"                {_quoted(place.at)}) words={_quoted(' '.join(words))} ;;")
    lines += [
        "            esac",
        "            ;;",
        "    esac",
        '    COMPREPLY=($(compgen -W "$words" -- "$cur"))',
        "}",
        "complete -o default -F _flow flow",
    ]
    return "\n".join(lines)


def _zsh(places: list[_Place]) -> str:
    known = _patterns([place.at for place in places if place.at])
    lines = [
        "#compdef flow",
        "# Completion of flow for zsh:  source <(flow completion zsh)",
        "_flow() {",
        "    local at='' word",
        "    local -a found",
        "    for word in ${words[2,CURRENT-1]}; do",
        '        case "$at $word" in',
        f'            {known}) at="$at $word" ;;',
        "        esac",
        "    done",
        '    case "$at:${words[CURRENT-1]}" in',
    ]
    for place, option in _with_argument(places):
        patterns = _patterns([f"{place.at}:{flag}" for flag in option.flags])
        if option.modules:
            lines.append(f"        {patterns}) found=(*.py(N:r)); compadd -a found; return ;;")
        elif option.values:
            lines.append(f"        {patterns}) compadd -- {' '.join(map(_quoted, option.values))}; return ;;")
        else:
            lines.append(f"        {patterns}) _files; return ;;")
    lines += ["    esac", "    case $at in"]
    for place in places:
        words = list(place.words) + [(flag, option.help) for option in place.options for flag in option.flags if flag.startswith("--")]
        described = " ".join(_quoted(f"{word}:{text}") for word, text in words)
        lines.append(f"        {_quoted(place.at)}) found=({described}) ;;")
    lines += ["    esac", "    _describe 'flow' found", "}", "compdef _flow flow"]
    return "\n".join(lines)


def _fish(places: list[_Place]) -> str:
    lines = [
        "# Completion of flow for fish:  flow completion fish | source",
        "function __flow_at",
        "    set -l at ''",
        "    for word in (commandline -opc)[2..-1]",
        '        switch "$at $word"',
        f"            case {' '.join(_quoted(place.at) for place in places if place.at)}",
        '                set at "$at $word"',
        "        end",
        "    end",
        '    test "$at" = "$argv[1]"',
        "end",
        "complete -c flow -f",
    ]
    for place in places:
        here = "complete -c flow -n " + _quoted(f'__flow_at "{place.at}"')
        lines += [f"{here} -a {_quoted(word)} -d {_quoted(text)}" for word, text in place.words]
        for option in place.options:
            names = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
            values = ""
            if option.modules:
                values = " -x -a " + _quoted("(for file in *.py; string replace -r '\\.py$' '' -- $file; end)")
            elif option.values:
                values = f" -x -a {_quoted(' '.join(option.values))}"
            elif option.values is not None:
                values = " -r"
            lines.append(f"{here} {names}{values} -d {_quoted(option.help)}")
    return "\n".join(lines)


def _with_argument(places: list[_Place]) -> Iterator[tuple[_Place, _Option]]:
    for place in places:
        for option in place.options:
            if option.values is not None:
                yield place, option


_SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=list(_SHELLS), help="bash, zsh or fish")


def _run(args: argparse.Namespace) -> int:
    from ematix_flow.cli._main import parser

    print(_SHELLS[args.shell](list(_places(parser()))))
    return DONE


COMMAND = Command(
    name="completion",
    help="print a script with which a shell completes flow's words",
    example="flow completion bash > ~/.local/share/bash-completion/completions/flow\nflow completion fish | source",
    add_arguments=_add_arguments,
    run=_run,
)
