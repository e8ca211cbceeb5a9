# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

"""What the scripts share that run the tests of others: compiling, running, and the table."""

import pathlib
import re
import subprocess
import typing

INCLUDE = pathlib.Path(__file__).resolve().parents[2] / "include"


class Outcome(typing.NamedTuple):
    name: str
    outcome: str
    note: str

    def row(self):
        return f"| {self.name} | {self.outcome} | {self.note.replace('|', chr(92) + '|')} |"


class Execution(typing.NamedTuple):
    """How a program ended: its status is None where it had to be killed."""
    status: typing.Optional[int]
    output: str


def add_arguments(parser, tests):
    parser.add_argument("--tests", required=True, type=pathlib.Path, help=tests)
    parser.add_argument("--library", required=True, help="the compiled libsafer_ring.a")
    parser.add_argument("--boost", help="include folder of the Boost that the tests belong to")
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--define", action="append", default=[], help="a further flag, as in -DX")
    parser.add_argument("--through", choices=["drop_in", "asio"], default="drop_in",
                        help="asio: unchanged, to see what passes on this machine at all")
    parser.add_argument("--only", default="", help="a pattern: those whose name has it")
    parser.add_argument("--report", type=pathlib.Path)


def selected(arguments, names, folder, suffix=""):
    """Those that were asked for, and that this Boost has."""
    return [name for name in names if re.search(arguments.only, name)
            and (folder / (name + suffix)).exists()]


def flags(arguments):
    result = ["-std=c++20", "-O0", "-w", "-pthread", "-I", str(INCLUDE)]
    if arguments.boost:
        result += ["-isystem", arguments.boost]
    return result + arguments.define


def compile_or_error(command):
    """None, or what the compiler had to say first."""
    compilation = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if compilation.returncode == 0:
        return None
    errors = [line for line in compilation.stderr.splitlines()
              if "error:" in line or "undefined" in line or "cannot find" in line]
    return errors[0] if errors else compilation.stderr[-300:]


def execute(program, timeout_s, *arguments):
    """Runs a program to its end, or kills it after the time."""
    try:
        execution = subprocess.run([str(program), *arguments], capture_output=True, text=True,
                                   timeout=timeout_s, errors="replace")
    except subprocess.TimeoutExpired as expired:
        parts = [expired.stdout, expired.stderr]
        return Execution(None, "".join((p or b"").decode(errors="replace") for p in parts))
    return Execution(execution.returncode, execution.stdout + execution.stderr)


def report(outcomes, file=None):
    """Prints a table's line for each as it comes; answers the exit status."""
    lines, bad = [], 0
    for outcome in outcomes:
        bad += outcome.outcome != "passes"
        lines.append(outcome.row())
        print(lines[-1], flush=True)
    if file:
        file.write_text("\n".join(lines) + "\n")
    print(f"{len(lines) - bad} pass, {bad} do not")
    return 1 if bad else 0
