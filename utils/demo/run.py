#!/usr/bin/env python3
"""The demo: a real job is killed with -9 again and again - the job, its wrapper, the server, all of them - and ends
with the result of a run that nobody disturbed.

Three runs of utils/demo/wordcount.py over the text of this machine: undisturbed and without Holdfast (the reference);
wrapped in `holdfast-cli run` and killed; without Holdfast, killed the same way and started again from zero, until it is
done or has lost three times the undisturbed time. What is counted is counted here, outside Holdfast: the job writes a
line into a plain file whenever it begins a unit of work. This script restarts what a supervisor would restart (wrapper
and server, at once) and does nothing else for the job.
"""
import argparse, json, os, random, shutil, signal, socket, statistics, subprocess, sys, tempfile, threading, time
import ctypes

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BIN = os.environ.get('HOLDFAST_BIN', os.path.join(ROOT, 'bin'))
SERVER, CLI = os.path.join(BIN, 'holdfast-server'), os.path.join(BIN, 'holdfast-cli')
JOB = os.path.join(HERE, 'wordcount.py')
KINDS = ['child', 'wrapper', 'server', 'all']
STOP_AT = 3.0          # x undisturbed: when the run without Holdfast has lost enough
TEXT_FOLDERS = ['/usr/share/common-licenses', '/usr/share/doc', '/usr/share/man']
PLAIN_MAX, PACKED_MAX = 64 << 10, 16 << 10   # larger files would make uneven units
FILES_MAX = 20000

_libc = ctypes.CDLL(None)
_started = []


def spawn(command, log, **more):
    """A process that ends with this one, however this one ends."""
    p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                         preexec_fn=lambda: _libc.prctl(1, signal.SIGKILL, 0, 0, 0), **more)
    _started.append(p)
    return p


def end_all():
    for p in _started:
        if p.poll() is None:
            kill_tree(p.pid)
            p.wait()


def children(pid):
    try:
        with open(f'/proc/{pid}/task/{pid}/children') as f:
            return [int(x) for x in f.read().split()]
    except OSError:
        return []


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


def kill_tree(pid):
    below = children(pid)
    kill(pid)
    for child in below:
        kill_tree(child)


def find_text():
    """Licences and manual pages, sorted; enough of them for a job, of moderate size each."""
    out = []
    for top in TEXT_FOLDERS:
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                packed = top.endswith('/man') and name.endswith('.gz')
                if not packed and name != 'copyright' and 'common-licenses' not in folder:
                    continue
                if not os.path.islink(path) and 0 < os.path.getsize(path) <= (PACKED_MAX if packed else PLAIN_MAX):
                    out.append(path)
    step = max(1, -(-len(out) // FILES_MAX))  # an even choice where there is too much
    return sorted(out)[::step]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Tally:
    """The counting file: which units were begun, by whom, when."""

    def __init__(self, path):
        with open(path) as f:
            rows = [line.split() for line in f if line.endswith('\n')]
        self.rows = [(int(u), int(pid), int(ns) / 1e9) for u, pid, ns in rows]
        self.begun = len(self.rows)
        self.distinct = len({u for u, _, _ in self.rows})
        self.repeated = self.begun - self.distinct

    def first_after(self, at, not_by=()):
        """Seconds from `at` to the first unit begun after it, by another process than those; None: never."""
        return next((t - at for _, pid, t in self.rows if t > at and pid not in not_by), None)


class Kill:
    def __init__(self, kind, due):
        self.kind, self.due = kind, due   # due: seconds after the start of the run
        self.at = None                    # monotonic, when it was done
        self.victims = []                 # pids of the job's processes that died of it
        self.work_again = self.server_again = None


def draw_kills(draw, count, seconds, offset=0.0):
    """Times drawn uniformly, and each kind at least once when there are four."""
    kinds = KINDS[:count] + [draw.choice(KINDS) for _ in range(count - len(KINDS))]
    draw.shuffle(kinds)
    times = sorted(draw.uniform(0.01, 0.97) * seconds + offset for _ in range(count))
    return [Kill(kind, due) for kind, due in zip(kinds, times)]


class Run:
    """One run of the job, under the eyes of a supervisor and a killer. Subclasses say what processes there are."""

    def __init__(self, demo, name):
        self.demo, self.folder = demo, os.path.join(demo.folder, name)
        os.makedirs(self.folder)
        self.tally_path, self.out = os.path.join(self.folder, 'tally'), os.path.join(self.folder, 'result.json')
        open(self.tally_path, 'w').close()
        self.log = open(os.path.join(self.folder, 'log'), 'ab')
        self.kills, self.restarts, self.finished, self.stopped = [], 0, False, False

    def job(self, *how):
        return [sys.executable, JOB, '--files', self.demo.files, '--out', self.out, '--count', self.tally_path,
                '--every', str(self.demo.every), *how]

    def go(self, kills, limit_seconds, more_kills=None):
        """Runs to the end, or to the limit. `more_kills` gives the next kills when all are done."""
        begin = time.monotonic()
        pending = list(kills)
        self.start()
        while not self.step():
            now = time.monotonic() - begin
            if now > limit_seconds:
                self.stopped = True
                break
            if not pending and more_kills:
                pending = more_kills()
            if pending and now >= pending[0].due and self.strike(pending[0]):
                self.kills.append(pending.pop(0))
            self.demo.say_progress(self, now)
            time.sleep(0.004)
        self.seconds = time.monotonic() - begin
        self.finished = not self.stopped
        self.end()
        self.tally = Tally(self.tally_path)
        for k in self.kills:
            k.work_again = self.tally.first_after(k.at, k.victims)
        return self


class Plain(Run):
    """The job alone; killed, it starts again from zero."""

    def __init__(self, demo, name, *how):
        super().__init__(demo, name)
        self.how = how

    def start(self):
        self.process = spawn(self.job(*self.how), self.log)

    def step(self):
        code = self.process.poll()
        if code is None:
            return False
        if code == 0:
            return True
        if code > 0:
            raise SystemExit(f'the job failed by itself with {code}; see {self.folder}/log')
        self.restarts += 1
        self.start()
        return False

    def strike(self, what):
        if what.kind == 'server':  # there is none: this job is better off
            what.at = time.monotonic()
            return True
        what.victims = [self.process.pid]
        self.process.kill()
        what.at = time.monotonic()
        return True

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Wrapped(Run):
    """Server, wrapper, job; killed, each is started again by its supervisor at once."""

    def __init__(self, demo, name):
        super().__init__(demo, name)
        self.port = free_port()

    def start(self):
        self.start_server()
        self.start_wrapper()

    def start_server(self):
        self.server = spawn([SERVER, '--port', str(self.port), '--dir', os.path.join(self.folder, 'data')], self.log,
                            cwd=self.folder)

    def start_wrapper(self):
        self.wrapper = spawn([CLI, 'run', '-p', str(self.port), '--task', 'wordcount', '--wait',
                              '--dir', os.path.join(self.folder, 'run'), '--', *self.job('--units', str(self.demo.units))],
                             self.log, cwd=self.folder)

    def step(self):
        if self.server.poll() is not None:
            self.restarts += 1
            self.start_server()
        code = self.wrapper.poll()
        if code == 0:
            return True
        if code is not None:
            self.restarts += 1
            self.start_wrapper()
        return False

    def strike(self, what):
        """Kills when everything is up; False: not yet. A victim that is just starting would be too easy a kill."""
        jobs = children(self.wrapper.pid)
        if self.wrapper.poll() is not None or self.server.poll() is not None or not jobs:
            return False
        targets = {'child': jobs, 'wrapper': [self.wrapper.pid], 'server': [self.server.pid],
                   'all': [self.server.pid, self.wrapper.pid, *jobs]}[what.kind]
        for pid in targets:
            kill(pid)
        what.at = time.monotonic()
        what.victims = [] if what.kind == 'server' else jobs
        if what.kind in ('server', 'all'):
            threading.Thread(target=self.watch_server, args=(what,), daemon=True).start()
        return True

    def watch_server(self, what):
        """Notes when the server answers again."""
        while time.monotonic() < what.at + 60:
            try:
                with socket.create_connection(('127.0.0.1', self.port), 1) as s:
                    s.sendall(b'PING\r\n')
                    if s.recv(64).startswith(b'+PONG'):
                        what.server_again = time.monotonic() - what.at
                        return
            except OSError:
                pass
            time.sleep(0.002)

    def end(self):
        for p in (self.wrapper, self.server):
            if p.poll() is None:
                p.send_signal(signal.SIGTERM if p is self.server else signal.SIGKILL)
                try:
                    p.wait(10)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()


class Demo:
    def __init__(self, a):
        self.a = a
        self.terminal = sys.stdout.isatty() and not a.json
        self.seed = a.seed if a.seed is not None else random.SystemRandom().randrange(10 ** 6)
        self.draw = random.Random(self.seed)
        self.folder = tempfile.mkdtemp(prefix='holdfast-demo-')
        self.files = os.path.join(self.folder, 'files')
        self.every = a.every
        self.units = 0
        self.said = 0.0

    def say(self, text):
        if not self.a.json:
            if self.terminal:
                sys.stdout.write('\r\033[K')
            print(text, flush=True)

    def say_progress(self, run, now):
        """One line that is written over, on a terminal only."""
        if not self.terminal or time.monotonic() - self.said < 0.2:
            return
        self.said = time.monotonic()
        try:
            with open(run.tally_path, 'rb') as f:
                f.seek(max(0, os.path.getsize(run.tally_path) - 200))
                unit = int(f.read().split(b'\n')[-2].split()[0])
        except (IndexError, ValueError, OSError):
            unit = 0
        share = unit / self.units if self.units else min(1, now / self.a.seconds)
        bar = '█' * int(share * 30) + '·' * (30 - int(share * 30))
        sys.stdout.write(f'\r\033[K  {bar} {share * 100:3.0f} %  {now:5.1f} s  killed {len(run.kills)} times')
        sys.stdout.flush()

    def main(self):
        a = self.a
        files = find_text()
        if not files:
            raise SystemExit('no licences and no manual pages under /usr/share: nothing to count')
        with open(self.files, 'w') as f:
            f.write('\n'.join(files) + '\n')
        self.say(f'Word and letter statistics over {len(files):,} licences and manual pages of this machine; seed {self.seed}')

        self.say('1. undisturbed, without Holdfast: the reference')
        calm = Plain(self, 'undisturbed', '--seconds', str(a.seconds)).go([], a.seconds * 3 + 30)
        if not calm.finished:
            raise SystemExit(f'the undisturbed run did not end; see {calm.folder}/log')
        self.units = calm.tally.distinct
        kills = draw_kills(self.draw, a.kills, calm.seconds)
        kinds_and_times = [(k.kind, k.due) for k in kills]

        self.say(f'2. wrapped in holdfast-cli run, kill -9 {a.kills} times')
        held = Wrapped(self, 'holdfast').go(kills, calm.seconds * 5 + 30)

        lost = None
        if not a.no_plain:
            self.say('3. without Holdfast, killed the same way, started again from zero')
            window = [0]

            def again():  # the machine does not become better: the same once more
                window[0] += 1
                return [Kill(k, t + window[0] * calm.seconds) for k, t in kinds_and_times]
            lost = Plain(self, 'plain', '--units', str(self.units)).go([Kill(k, t) for k, t in kinds_and_times],
                                                                      calm.seconds * a.stop_at, again)
        return self.report(calm, held, lost)

    def report(self, calm, held, lost):
        read = lambda run: open(run.out, 'rb').read() if os.path.exists(run.out) else None
        equal = held.finished and read(held) is not None and read(held) == read(calm)
        # A dead server alone does not stop the job: counting those zeros would flatter.
        back = [k.work_again for k in held.kills if k.victims and k.work_again is not None]
        figures = {
            'seed': self.seed, 'files': sum(1 for _ in open(self.files)), 'units': self.units, 'result_equal': equal,
            'undisturbed': {'seconds': round(calm.seconds, 3), 'units_begun': calm.tally.begun},
            'holdfast': self.figures(held, calm),
            'kills_by_kind': {kind: self.kind_figures([k for k in held.kills if k.kind == kind]) for kind in KINDS},
            'work_again_seconds_when_the_job_was_stopped': {'median': median(back), 'worst': max(back, default=None)},
        }
        if lost:
            figures['without_holdfast'] = self.figures(lost, calm)
        if self.a.json:
            print(json.dumps(figures, indent=1))
        else:
            self.tables(figures, calm, held, lost)
        return equal

    @staticmethod
    def figures(run, calm):
        return {'finished': run.finished, 'seconds': round(run.seconds, 3), 'times_undisturbed': round(run.seconds / calm.seconds, 3),
                'units_done': run.tally.distinct, 'units_begun': run.tally.begun, 'units_repeated': run.tally.repeated,
                'repeated_share': round(run.tally.repeated / calm.tally.distinct, 5), 'kills': len(run.kills),
                'restarts': run.restarts}

    @staticmethod
    def kind_figures(kills):
        back = [k.work_again for k in kills if k.work_again is not None]
        server = [k.server_again for k in kills if k.server_again is not None]
        return {'kills': len(kills), 'work_again_median': median(back), 'work_again_worst': max(back, default=None),
                'server_again_median': median(server), 'server_again_worst': max(server, default=None)}

    def paint(self, text, colour):
        return f'\033[{colour}m{text}\033[0m' if self.terminal else text

    def tables(self, f, calm, held, lost):
        h, n = f['holdfast'], f.get('without_holdfast')
        seconds = lambda s: '-' if s is None else f'{s:.2f} s'
        columns = [('undisturbed', [f'{calm.seconds:.1f} s', f'{self.units:,}', '0', '0', 'reference'])]
        columns.append(('with Holdfast', [
            f'{h["seconds"]:.1f} s ({h["times_undisturbed"]:.2f} x)', f'{h["units_done"]:,}',
            f'{h["units_repeated"]:,} ({h["repeated_share"] * 100:.2f} %)', str(h['kills']),
            'equal, byte for byte' if f['result_equal'] else 'DIFFERENT' if held.finished else 'NOT FINISHED']))
        if n:
            columns.append(('without Holdfast', [
                f'{n["seconds"]:.1f} s ({n["times_undisturbed"]:.2f} x)', f'{n["units_done"]:,}',
                f'{n["units_repeated"]:,} ({n["repeated_share"] * 100:.0f} %)', str(n['kills']),
                'finished' if lost.finished else 'none: stopped unfinished']))
        rows = ['wall time', 'units of work done', 'units repeated', 'kill -9', 'result']
        widths = [max(map(len, rows))] + [max(len(name), *map(len, cells)) for name, cells in columns]
        line = lambda cells: '  ' + '   '.join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths)))
        self.say('')
        print(self.paint(line([''] + [name for name, _ in columns]), 1))
        for i, row in enumerate(rows):
            print(line([row] + [cells[i] for _, cells in columns]))
        print()
        widths[:] = [8, 5, 22, 22]
        print(self.paint(line(['killed', 'times', 'working again', 'server answers again']), 1))
        pair = lambda middle, worst: '-' if middle is None else f'{middle:.2f} s (worst {worst:.2f})'
        for kind, k in f['kills_by_kind'].items():
            print(line([kind, str(k['kills']), pair(k['work_again_median'], k['work_again_worst']),
                        pair(k['server_again_median'], k['server_again_worst'])]))
        w = f['work_again_seconds_when_the_job_was_stopped']
        stopped = sum(bool(k.victims) for k in held.kills)
        print(line(['the job', str(stopped), pair(w['median'], w['worst']), '']))
        print()
        for text, kept in (
                ('the result equals that of the undisturbed run', f['result_equal']),
                (f'work repeated {h["repeated_share"] * 100:.2f} %, promised: under 2 %', h['repeated_share'] < 0.02),
                (f'working again {seconds(w["median"])} (median) after a kill that stopped the job, promised: under 1 s', (w['median'] or 9) < 1),
                (f'wall time {h["times_undisturbed"]:.2f} x undisturbed, promised: 1.3 x at most', h['times_undisturbed'] <= 1.3)):
            if self.a.short and 'wall time' in text:
                continue  # six deaths in eight seconds are not what that is about
            print('  ' + (self.paint('kept  ', 32) if kept else self.paint('missed', 31)) + '  ' + text)


def median(values):
    return statistics.median(values) if values else None


def main():
    ap = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    ap.add_argument('--short', action='store_true', help='a run of some 8 s of work, killed 6 times: for make test')
    ap.add_argument('--seconds', type=float, help='work of the undisturbed run (50; short: 8)')
    ap.add_argument('--kills', type=int, help='how often (12; short: 6)')
    ap.add_argument('--every', type=float, help='seconds between two checkpoints of the job (0.1; short: 0.05)')
    ap.add_argument('--seed', type=int, help='of times and kinds; drawn and printed when not given')
    ap.add_argument('--stop-at', type=float, default=None, help='x undisturbed: where the run without Holdfast is stopped (3; short: 1.2)')
    ap.add_argument('--no-plain', action='store_true', help='leave the run without Holdfast out')
    ap.add_argument('--keep', action='store_true', help='keep the folder with logs, tallies and results')
    ap.add_argument('--json', action='store_true', help='figures as JSON')
    a = ap.parse_args()
    for name, long, short in (('seconds', 50.0, 8.0), ('kills', 12, 6), ('every', 0.1, 0.05), ('stop_at', STOP_AT, 1.2)):
        if getattr(a, name) is None:
            setattr(a, name, short if a.short else long)
    for program in (SERVER, CLI):
        if not os.path.exists(program):
            raise SystemExit(f'{program} is not there; build it with make')
    demo = Demo(a)
    equal = False
    try:
        equal = demo.main()
    finally:
        end_all()
        if a.keep or not equal:
            print(f'logs, tallies and results are in {demo.folder}', file=sys.stderr)
        else:
            shutil.rmtree(demo.folder, ignore_errors=True)
    sys.exit(0 if equal else 1)


if __name__ == '__main__':
    main()
