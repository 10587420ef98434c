#!/usr/bin/python3
"""The house's rules that a machine can see: a file includes only its own folder and lower floors, nothing below the
edge touches the outside world, and the core archive needs no libuv. Prints what breaks them; exit code 1 if any."""
import pathlib
import re
import subprocess
import sys

FLOORS = [
    ["base"],
    ["resp", "store"],
    ["task", "rdb", "log", "snapshot", "replication", "sentinel", "config", "command"],
    ["node"],
    ["edge", "cli"],
    ["main"],
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# On floor 2 rooms do not see each other, but commands use tasks, and DUMP and RESTORE the dump's codec.
SIDEWAYS = {("command", "task"), ("command", "rdb")}
# Floors 1 and 4 likewise: rooms of one floor are independent.
OUTSIDE = re.compile(
    r'#include *[<"](uv\.h|sys/socket\.h|fcntl\.h|unistd\.h|pthread\.h|thread|mutex|fstream|filesystem)[>"]'
    r"|clock_gettime|system_clock::now|steady_clock::now|gettimeofday|\brand\(\)|random_device|\bgetenv\b")
WORLDLY = {"edge", "cli", "main"}


def main() -> int:
    root = pathlib.Path(__file__).resolve().parents[2]
    problems = []
    files = sorted((root / "src").rglob("*.cc")) + sorted((root / "src").rglob("*.h"))
    for path in files:
        room = path.relative_to(root / "src").parts[0]
        name = path.relative_to(root)
        if room not in FLOOR_OF:
            problems.append(f"{name}: the folder {room}/ stands on no floor")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'\s*#include "(\w+)/', line)
            if found and found[1] in FLOOR_OF and found[1] != room:
                up = FLOOR_OF[found[1]] > FLOOR_OF[room]
                across = FLOOR_OF[found[1]] == FLOOR_OF[room] and (room, found[1]) not in SIDEWAYS
                if up or across:
                    problems.append(f"{name}:{number}: {room}/ may not include {found[1]}/ ({'up' if up else 'across'})")
            if room not in WORLDLY and OUTSIDE.search(line):
                problems.append(f"{name}:{number}: the outside world below src/edge: {line.strip()}")
    core = root / "build" / "libcore.a"
    if core.exists():
        undefined = subprocess.run(["nm", "-u", "-C", str(core)], capture_output=True, text=True, check=True).stdout
        for symbol in sorted(set(re.findall(r"U (uv_\w+|socket|open|open64|fsync|fdatasync|clock_gettime|time)$",
                                            undefined, re.M))):
            problems.append(f"build/libcore.a needs {symbol}")
    for problem in problems:
        print(problem)
    print(f"{len(files)} files looked at")
    print(f"{len(files) - len(problems) if len(problems) < len(files) else 0} passed, {len(problems)} failed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
