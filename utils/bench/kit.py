"""What the sections share: servers on a processor of their own, a client that can pipeline, redis-benchmark,
tables."""
import atexit, ctypes, os, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HOLDFAST = os.path.join(os.environ.get('HOLDFAST_BIN', os.path.join(ROOT, 'bin')), 'holdfast-server')
SERVER_CPU, LOAD_CPU = '0', '1'
TICK = os.sysconf('SC_CLK_TCK')
_libc = ctypes.CDLL(None)
live = []
built = []  # the shim, once it is needed


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Conn:
    """A blocking RESP2 client that can pipeline."""

    def __init__(self, port, timeout=120):
        self.sock = socket.create_connection(('127.0.0.1', port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile('rb', 1 << 18)

    @staticmethod
    def encode(args):
        parts = [b'*%d\r\n' % len(args)]
        for a in args:
            a = a if isinstance(a, bytes) else str(a).encode()
            parts.append(b'$%d\r\n%s\r\n' % (len(a), a))
        return b''.join(parts)

    def reply(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError('closed')
        kind, rest = line[:1], line[1:-2]
        if kind == b'+':
            return rest.decode()
        if kind == b'-':
            return RuntimeError(rest.decode())
        if kind == b':':
            return int(rest)
        if kind == b'$':
            return None if rest == b'-1' else self.file.read(int(rest) + 2)[:-2]
        return None if rest == b'-1' else [self.reply() for _ in range(int(rest))]

    def pipe(self, commands):
        self.sock.sendall(b''.join(map(self.encode, commands)))
        out = [self.reply() for _ in commands]
        bad = next((x for x in out if isinstance(x, Exception)), None)
        if bad:
            raise bad
        return out

    def cmd(self, *args):
        return self.pipe([args])[0]

    def close(self):
        self.file.close()
        self.sock.close()


class Server:
    """A server on its processor, with a folder of its own; ends with this process."""

    def __init__(self, name, flags, cpu=SERVER_CPU, by=()):
        self.name, self.port = name, free_port()
        self.folder = tempfile.mkdtemp(prefix='holdfast-bench-')
        program = HOLDFAST if name == 'holdfast' else 'redis-server'
        self.command = [*by, 'taskset', '-c', cpu, program, '--port', str(self.port), '--dir', self.folder,
                        *flags]
        self.start()
        live.append(self)

    def start(self):
        self.log = open(os.path.join(self.folder, 'server.log'), 'ab')
        self.process = subprocess.Popen(self.command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log,
                                        preexec_fn=lambda: _libc.prctl(1, signal.SIGKILL, 0, 0, 0))
        self.log.close()

    def ready(self, seconds=600):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                with open(self.log.name) as f:
                    raise SystemExit(f'{self.name} ended: {f.read()[-800:]}')
            try:
                c = Conn(self.port, 5)
                try:
                    if c.cmd('PING') == 'PONG' and c.cmd('DBSIZE') is not None:
                        return self
                except RuntimeError:
                    pass  # it is loading
                finally:
                    c.close()
            except OSError:
                pass
            time.sleep(0.005)
        raise SystemExit(f'{self.name} does not answer')

    @property
    def pid(self):
        return self.process.pid

    def cpu_seconds(self):
        """Of all threads, and of children that have ended (a forked saver)."""
        with open(f'/proc/{self.pid}/stat') as f:
            fields = f.read().rsplit(')', 1)[1].split()
        return sum(int(x) for x in fields[11:15]) / TICK

    def memory(self):
        """Resident bytes of the process and its children; pages they share count once."""
        total = 0
        with open(f'/proc/{self.pid}/task/{self.pid}/children') as f:
            pids = [self.pid] + f.read().split()
        for pid in pids:
            try:
                with open(f'/proc/{pid}/smaps_rollup') as f:
                    total += next(int(line.split()[1]) * 1024 for line in f if line.startswith('Pss:'))
            except (OSError, StopIteration):
                pass  # a saver that has just ended
        return total

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def drop(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self in live:
            live.remove(self)


def servers(flags, names=('holdfast', 'redis'), by=()):
    return [Server(name, flags, by=by).ready() for name in names]


def slower_sync(us):
    """Words before a server's command that make each of its syncs take `us` longer: what another disk would
    do."""
    if not us:
        return ()
    if not built:
        folder = tempfile.mkdtemp(prefix='holdfast-bench-')
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        built.append(os.path.join(folder, 'shim.so'))
        subprocess.run(['cc', '-shared', '-fPIC', '-O2', '-o', built[0],
                        os.path.join(ROOT, 'tests', 'process', 'shim.c'), '-ldl'],
                       check=True)
    return ('env', f'LD_PRELOAD={built[0]}', f'HOLDFAST_SHIM_SYNC_US={us}')


def benchmark(server, words, requests, clients=50, pipeline=1, bytes_=32, keys=100000):
    """One run of redis-benchmark: operations a second, us of server time an operation, p50 and p99 in ms."""
    before = server.cpu_seconds()
    done = subprocess.run(['taskset', '-c', LOAD_CPU, 'redis-benchmark', '-p', str(server.port), '--csv',
                           '-c', str(clients), '-P',
                           str(pipeline), '-n', str(requests), '-r', str(keys), '-d', str(bytes_), *words],
                          capture_output=True, text=True)
    used = server.cpu_seconds() - before
    rows = [line for line in done.stdout.splitlines() if line.startswith('"')
            and not line.startswith('"test"')]
    if done.returncode != 0 or not rows:
        raise SystemExit(f'redis-benchmark {words}: {done.stdout[-300:]} {done.stderr[-300:]}')
    fields = [x.strip('"') for x in rows[-1].split('","')]
    return {'ops': float(fields[1]), 'us': used / requests * 1e6, 'p50': float(fields[4]),
            'p99': float(fields[6])}


def middle(samples):
    return {k: statistics.median(s[k] for s in samples) for k in samples[0]}


class Table:
    def __init__(self, title, columns):
        self.rows = []
        self.title, self.columns = title, columns

    def add(self, *cells):
        self.rows.append(
            [c if isinstance(c, str) else f'{c:,.0f}' if abs(c) >= 1000 else f'{c:.2f}' for c in cells])

    def show(self):
        terminal = sys.stdout.isatty()
        widths = [max(len(r[i]) for r in [self.columns] + self.rows) for i in range(len(self.columns))]
        line = lambda r: '  ' + '  '.join(c.ljust(w) if i == 0 else c.rjust(w)
                                          for i, (c, w) in enumerate(zip(r, widths)))
        print(('\033[1m%s\033[0m' if terminal else '%s') % self.title)
        print(('\033[2m%s\033[0m' if terminal else '%s') % line(self.columns))
        for r in self.rows:
            print(line(r))
        print(flush=True)


def fill(c, n, make, batch=1000):
    for i in range(0, n, batch):
        c.pipe([make(j) for j in range(i, min(n, i + batch))])


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] * 1e3 if values else 0.0
