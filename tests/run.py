#!/usr/bin/python3
"""Runs the test steps one after another, prints a line for each and a sum at the end.

usage: run.py short|long [STEP ...]

Every step is a command; its output goes to build/test-logs/<step>.log and is shown when it fails. A step that ends
with another exit code than 0, or runs past its time, has failed. The last line is `N passed, N failed`."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHON = "/usr/bin/python3"


def unit_tests():
    return [(f"unit {path.name[:-5]}", [str(path)], 240) for path in sorted((ROOT / "build/tests").glob("*-test"))]


def python_tests(folder, flags=(), limit=300):
    return [(f"{folder} {path.name[:-8]}", [PYTHON, str(path), *flags], limit)
            for path in sorted((ROOT / "tests" / folder).glob("*_test.py"))]


def short_steps():
    steps = [("house floors", [PYTHON, "tests/house/floors.py"], 60)]
    steps += unit_tests()
    steps += [("simulator 500 seeds", ["build/tests/sim", "--seeds", "500", "--jobs", "2"], 300)]
    steps += [("simulator 500 clusters", ["build/tests/sim", "--cluster", "--seeds", "500", "--jobs", "2"], 300)]
    steps += [("recovery drills", ["build/tests/sim", "--drills", "--outcomes", "4", "--jobs", "2"], 120)]
    steps += python_tests("python") + python_tests("process")
    steps += [("demo short", [PYTHON, "utils/demo/run.py", "--short"], 180)]
    return steps


def long_steps():
    steps = [("simulator 5,000 seeds", ["build/tests/sim", "--seeds", "5000", "--jobs", "2"], 1200)]
    steps += [("recovery drills, 50 outcomes", ["build/tests/sim", "--drills", "--outcomes", "50", "--jobs", "2"], 600)]
    steps += [("simulator planted bugs", ["build-planted/tests/sim", "--planted", "--jobs", "2"], 900)]
    steps += [("simulator 5,000 clusters", ["build/tests/sim", "--cluster", "--seeds", "5000", "--jobs", "2"], 900)]
    steps += [("simulator planted cluster bugs", ["build-planted/tests/sim", "--cluster", "--planted"], 900)]
    steps += [("fuzz a minute each", ["tests/fuzz/run.sh", "build-fuzz/tests/fuzz", "fixed"], 900)]
    steps += [(name + " long", command, 900)
              for name, command, _ in python_tests("process", ["--long"]) if re.search("kill|peer|attack|fail_nth", name)]
    steps += [("demo", [PYTHON, "utils/demo/run.py"], 600)]
    return steps


def counts(text):
    """How many cases a step's output says have passed and failed; one for the step itself when it says nothing."""
    passed = failed = 0
    found = False
    for match in re.finditer(r"All tests passed \(\d+ assertions? in (\d+) test cases?\)", text):
        passed += int(match[1])
        found = True
    for match in re.finditer(r"^test cases:\s*(\d+)(?:\s*\|\s*(\d+) passed)?(?:\s*\|\s*(\d+) failed)?", text, re.M):
        passed += int(match[2] or 0)
        failed += int(match[3] or 0)
        found = True
    for match in re.finditer(r"^Ran (\d+) tests?", text, re.M):
        bad = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", text[match.end():match.end() + 200]))
        passed += int(match[1]) - bad
        failed += bad
        found = True
    for match in re.finditer(r"^(?:\w+: )?(\d+) passed, (\d+) failed", text, re.M):
        passed += int(match[1])
        failed += int(match[2])
        found = True
    return (passed, failed) if found else None


def run(name, command, limit):
    logs = ROOT / "build/test-logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / (re.sub(r"\W+", "-", name) + ".log")
    begun = time.time()
    with open(log, "w") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        try:
            code = process.wait(limit)
            why = f"exit code {code}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code, why = -1, f"still running after {limit} s"
    text = log.read_text(errors="replace")
    passed, failed = counts(text) or (0, 0)
    if code == 0 and passed + failed == 0:
        passed = 1
    if code != 0 and failed == 0:
        failed = 1
    good = code == 0 and failed == 0
    print(f"{'ok  ' if good else 'FAIL'}  {name:34} {passed:6} passed {failed:3} failed  {time.time() - begun:6.1f} s"
          + ("" if good else f"  {why}; {log.relative_to(ROOT)}"), flush=True)
    if not good:
        print("\n".join("    | " + line for line in text.splitlines()[-60:]), flush=True)
    return passed, failed


def main():
    which = sys.argv[1] if len(sys.argv) > 1 else "short"
    steps = short_steps() if which == "short" else long_steps()
    if len(sys.argv) > 2:
        steps = [step for step in steps if any(word in step[0] for word in sys.argv[2:])]
    begun = time.time()
    passed = failed = 0
    for step in steps:
        p, f = run(*step)
        passed += p
        failed += f
    print(f"{which} run: {time.time() - begun:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
