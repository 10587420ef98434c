#!/usr/bin/env python3
"""Runs the scenario files against a live server: run.py PORT [FILE ...] [--record].

A scenario is commands and the replies they must get, as redis-cli shows them (see README.md here). --record writes the
replies that the server gives into the files: for making scenarios against redis-server, whose word is law.
"""
import pathlib
import sys
import time

import resp_client as resp

HERE = pathlib.Path(__file__).parent


def quoted(data):
    out = '"'
    escapes = {92: "\\\\", 34: '\\"', 10: "\\n", 13: "\\r", 9: "\\t", 7: "\\a", 8: "\\b"}
    for byte in data:
        out += escapes.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else "\\x%02x" % byte)
    return out + '"'


def elements(items, mark, pairs):
    if not items:
        return ["(empty hash)" if pairs else "(empty set)" if mark == "~" else "(empty array)"]
    out = []
    width = len(str(len(items)))
    for number, item in enumerate(items, 1):
        prefix = f"{number:>{width}}{mark} "
        indent = len(prefix)
        if pairs:
            prefix += render(item[0])[0] + " => "
            indent += 3
            item = item[1]
        for line in render(item):
            out.append(prefix + line)
            prefix = " " * indent
    return out


def render(reply):
    """A reply's lines, as redis-cli shows them on a terminal."""
    if reply is None:
        return ["(nil)"]
    if isinstance(reply, bool):
        return ["(true)" if reply else "(false)"]
    if isinstance(reply, int):
        return [f"(integer) {reply}"]
    if isinstance(reply, resp.ErrorReply):
        return [f"(error) {reply}"]
    if isinstance(reply, resp.Double):
        return [f"(double) {reply}"]
    if isinstance(reply, resp.Status):
        return [str(reply)]
    if isinstance(reply, resp.Verbatim):
        return ["(verbatim) " + quoted(reply)]
    if isinstance(reply, bytes):
        return [quoted(reply)]
    if isinstance(reply, resp.Pairs):
        return elements(reply, "#", True)
    return elements(reply, "~" if isinstance(reply, resp.Members) else ")", False)


def split_line(line):
    """The arguments of a command line; "..." knows the escapes that redis-cli knows."""
    out, i = [], 0
    while i < len(line):
        if line[i].isspace():
            i += 1
            continue
        arg = bytearray()
        while i < len(line) and not line[i].isspace():
            quote = line[i]
            if quote not in "\"'":
                arg += line[i].encode()
                i += 1
                continue
            i += 1
            while line[i] != quote:
                if line[i] == "\\" and quote == '"':
                    i += 1
                    if line[i] == "x":
                        arg.append(int(line[i + 1:i + 3], 16))
                        i += 3
                        continue
                    arg += {"n": b"\n", "r": b"\r", "t": b"\t", "a": b"\a", "b": b"\b"}.get(line[i], line[i].encode())
                elif line[i] == "\\" and line[i + 1] == "'":
                    i += 1
                    arg += b"'"
                else:
                    arg += line[i].encode()
                i += 1
            i += 1
        out.append(bytes(arg))
    return out


class Step:
    """One command with what precedes and what must follow it; lines are kept so that a file can be written anew."""

    def __init__(self):
        self.before, self.command, self.expected = [], None, []


def parse(text):
    steps, step = [], Step()
    for line in text.splitlines():
        if line.startswith("> "):
            if step.command is not None:
                steps.append(step)
                step = Step()
            step.command = line[2:]
        elif step.command is None or not (line.startswith(("#", "@")) or line == ""):
            (step.before if step.command is None else step.expected).append(line)
        else:
            steps.append(step)
            step = Step()
            step.before.append(line)
    steps.append(step)
    return steps


def unordered(lines):
    """Top-level elements without their numbers, sorted (pairs of a flat map stay as they are)."""
    return sorted(line.lstrip(" 0123456789").lstrip(")~# ") for line in lines)


class Runner:
    def __init__(self, port):
        self.port = port
        control = resp.Connection(port)
        self.is_holdfast = b"holdfast_version" in bytes(control.call("INFO", "server"))
        control.close()

    def run(self, path, record=False):
        """The failures of one file."""
        steps = parse(path.read_text())
        if any("@holdfast-only" in step.before for step in steps) and not self.is_holdfast:
            return None
        clients = {"0": resp.Connection(self.port)}
        clients["0"].call("FLUSHALL")
        current, failures, sorted_next = "0", [], False
        for step in steps:
            skip = False
            for line in step.before:
                word, _, rest = line.partition(" ")
                if word == "@client":
                    current = rest
                    if current not in clients:
                        clients[current] = resp.Connection(self.port)
                elif word == "@sleep":
                    time.sleep(int(rest) / 1000)
                elif word == "@unordered":
                    sorted_next = True
                elif word == "@holdfast":
                    skip = not self.is_holdfast
            if step.command is None or skip:
                continue
            got = render(clients[current].call(*split_line(step.command)))
            if record and step.expected != ["..."]:
                step.expected = got
            same = unordered(got) == unordered(step.expected) if sorted_next else got == step.expected
            if not same and step.expected != ["..."]:
                failures.append(f"{path.name}: {step.command}\n  expected " + "\n           ".join(step.expected)
                                + "\n  got      " + "\n           ".join(got))
            sorted_next = False
        if record:
            lines = []
            for step in steps:
                lines += step.before + ([] if step.command is None else ["> " + step.command]) + step.expected
            path.write_text("\n".join(lines) + "\n")
        for client in clients.values():
            client.close()
        return failures


def main():
    arguments = [a for a in sys.argv[1:] if a != "--record"]
    if not arguments:
        sys.exit(__doc__)
    runner = Runner(int(arguments[0]))
    files = [pathlib.Path(name) for name in arguments[1:]] or sorted(HERE.glob("*.txt"))
    passed = failed = 0
    for path in files:
        failures = runner.run(path, "--record" in sys.argv)
        if failures is None:
            print(f"skipped {path.name} (Holdfast only)")
            continue
        print("\n".join(failures) if failures else f"ok      {path.name}")
        failed += bool(failures)
        passed += not failures
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
