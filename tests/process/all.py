#!/usr/bin/python3
"""Runs every test with real processes, one file after the other, and adds up. --long: a hundred kills, longer attacks.
Words choose files: all.py kill disk."""
import glob, os, re, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    flags = [w for w in sys.argv[1:] if w.startswith('-')]
    words = [w for w in sys.argv[1:] if not w.startswith('-')]
    passed = failed = skipped = 0
    since = time.monotonic()
    for path in sorted(glob.glob(os.path.join(HERE, '*_test.py'))):
        name = os.path.basename(path).removesuffix('_test.py')
        if words and name not in words:
            continue
        print(f'== {name}', flush=True)
        lines = []
        with subprocess.Popen([sys.executable, path, *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as p:
            for line in p.stdout:
                lines.append(line)
                sys.stdout.write(line)
                sys.stdout.flush()
        counts = re.match(r'(-?\d+) passed, (\d+) failed(?:, (\d+) skipped)?$', lines[-1].strip()) if lines else None
        if not counts:
            print(f'FAILED  {name} ended with {p.returncode} and without its sums', flush=True)
            failed += 1
            continue
        passed, failed = passed + int(counts[1]), failed + int(counts[2])
        skipped += int(counts[3] or 0)
    print(f'real processes: {time.monotonic() - since:.0f} s' + (f', {skipped} skipped' if skipped else ''))
    print(f'{passed} passed, {failed} failed', flush=True)
    sys.exit(1 if failed or not passed else 0)


if __name__ == '__main__':
    main()
