"""What the tests with real processes share: servers that always end, a plain RESP client, one line a test.

Every server gets a free loopback port and a folder of its own, and is ended by its pid: by the test, by
atexit, and by the kernel (PR_SET_PDEATHSIG) if the test itself is killed. Nothing here is ever ended by name.
"""
import atexit, ctypes, os, shutil, signal, socket, subprocess, sys, tempfile, time, unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BIN = os.environ.get('HOLDFAST_BIN', os.path.join(ROOT, 'bin'))
# HOLDFAST_SERVER=redis-server runs what the two have in common against Redis: the test is then tested.
SERVER = os.environ.get('HOLDFAST_SERVER', os.path.join(BIN, 'holdfast-server'))
CLI = os.path.join(BIN, 'holdfast-cli')
CHECK = os.path.join(BIN, 'holdfast-check')
IS_REDIS = os.path.basename(SERVER).startswith('redis')
LONG = os.environ.get('HOLDFAST_LONG') == '1' or '--long' in sys.argv
START_SECONDS_MAX = 30

_libc = ctypes.CDLL(None, use_errno=True)
_live = set()


def die_with_parent():
    """For preexec_fn: the child is killed when this process ends, however it ends."""
    _libc.prctl(1, signal.SIGKILL, 0, 0, 0)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def temp_dir():
    path = tempfile.mkdtemp(prefix='holdfast-test-')
    atexit.register(shutil.rmtree, path, True)
    return path


def wait_until(what, condition, seconds=10.0, pause=0.01):
    """Returns the first true value of `condition`; AssertionError naming `what` when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'waited {seconds:g} s in vain for: {what}')
        time.sleep(pause)


def encode(args):
    """One command as RESP bytes."""
    out = [b'*%d\r\n' % len(args)]
    for a in args:
        if not isinstance(a, (bytes, bytearray)):
            a = str(a).encode()
        out.append(b'$%d\r\n%s\r\n' % (len(a), a))
    return b''.join(out)


class ReplyError(Exception):
    """An error reply; in the lists that pipe() returns it stands as a value, cmd() raises it."""


class Status(str):
    """A simple string, to be told from a bulk string (bytes)."""


class Conn:
    """A blocking client for RESP2 and RESP3, with a hand on the raw bytes."""

    def __init__(self, port, host='127.0.0.1', timeout=10.0, path=None):
        if path:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(path)
        else:
            self.sock = socket.create_connection((host, port), timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, raw):
        self.sock.sendall(raw)

    def _more(self):
        got = self.sock.recv(1 << 18)
        if not got:
            raise ConnectionError('closed by the server')
        self.data += got

    def line(self):
        while True:
            end = self.data.find(b'\r\n')
            if end >= 0:
                out = bytes(self.data[:end])
                del self.data[:end + 2]
                return out
            self._more()

    def _take(self, n):
        while len(self.data) < n + 2:
            self._more()
        out = bytes(self.data[:n])
        del self.data[:n + 2]
        return out

    def reply(self):
        head = self.line()
        kind, rest = head[:1], head[1:]
        if kind == b'+':
            return Status(rest.decode())
        if kind == b'-':
            return ReplyError(rest.decode('utf-8', 'replace'))
        if kind == b':':
            return int(rest)
        if kind == b'$':
            return None if rest == b'-1' else self._take(int(rest))
        if kind == b'=':
            return self._take(int(rest))[4:]
        if kind in b'*~>':
            return None if rest == b'-1' else [self.reply() for _ in range(int(rest))]
        if kind == b'%':
            return {self._hashable(self.reply()): self.reply() for _ in range(int(rest))}
        if kind == b'_':
            return None
        if kind == b'#':
            return rest == b't'
        if kind == b',':
            return float(rest)
        if kind == b'(':
            return int(rest)
        raise AssertionError(f'not RESP: {head!r}')

    @staticmethod
    def _hashable(value):
        return tuple(value) if isinstance(value, list) else value

    def cmd(self, *args):
        self.send(encode(args))
        out = self.reply()
        if isinstance(out, ReplyError):
            raise out
        return out

    def pipe(self, commands):
        self.send(b''.join(map(encode, commands)))
        return [self.reply() for _ in commands]

    def rest(self, seconds=3.0):
        """Everything up to the server's closing; AssertionError when it does not close."""
        self.sock.settimeout(seconds)
        try:
            while True:
                self._more()
        except ConnectionError:
            pass
        except socket.timeout:
            raise AssertionError(f'not closed within {seconds:g} s; so far: {bytes(self.data)[:200]!r}')
        out = bytes(self.data)
        self.data.clear()
        return out


class Server:
    """A server process; `flags` is a dict of options (name -> value). Not started by the constructor."""

    def __init__(self, flags=None, folder=None, port=None, env=None, program=None, before=None,
                 quiet_defaults=True):
        self.folder = folder or temp_dir()
        self.data = os.path.join(self.folder, 'data')
        self.port = free_port() if port is None else port
        self.flags = {'port': self.port, 'dir': self.data}
        if quiet_defaults:
            self.flags.update({'appendonly': 'yes', 'save': ''})
        self.flags.update(flags or {})
        self.env = env or {}
        self.program = program or SERVER
        self.before = before or []
        self.process = None
        self.log_path = os.path.join(self.folder, 'server.log')
        self.starts = 0

    def command(self):
        out = self.before + [self.program]
        for name, value in self.flags.items():
            if value is not None:
                out += ['--' + name] + ([str(v) for v in value] if isinstance(value, list) else [str(value)])
        return out

    def launch(self):
        """Starts the process without waiting for it."""
        os.makedirs(self.data, exist_ok=True)
        log = open(self.log_path, 'ab')
        self.process = subprocess.Popen(self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log,
                                        preexec_fn=die_with_parent, env={**os.environ, **self.env})
        log.close()
        self.starts += 1
        _live.add(self)
        return self

    def start(self, seconds=START_SECONDS_MAX):
        """Starts the process and waits until it answers."""
        self.launch()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f'server ended with {self.process.returncode}: {self.log()[-1500:]}')
            try:
                with self.connect(timeout=2) as c:
                    password = self.flags.get('requirepass')
                    if isinstance(c.pipe(([('AUTH', password)] if password else []) + [('PING',)])[-1],
                                  Status):
                        return self
            except (OSError, ConnectionError):
                pass
            time.sleep(0.005)
        raise AssertionError(f'no answer within {seconds} s: {self.log()[-1500:]}')

    def connect(self, timeout=10.0):
        return Conn(self.port, timeout=timeout)

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as f:
            return f.read()

    def kill(self):
        """kill -9, and gone."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait()
        _live.discard(self)

    def stop(self, seconds=15):
        """SIGTERM; returns the exit code. Past `seconds` it is killed, and the test fails."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds=15):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f'did not end within {seconds} s: {self.log()[-800:]}')
        _live.discard(self)
        return code

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def drop(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@atexit.register
def _end_all():
    for server in list(_live):
        server.drop()


def run(command, input=None, seconds=30, env=None):
    """Runs a program to its end; returns (code, stdout, stderr) as text."""
    done = subprocess.run(command, input=input, capture_output=True, timeout=seconds,
                          preexec_fn=die_with_parent, env={**os.environ, **(env or {})},
                          stdin=None if input is not None else subprocess.DEVNULL)
    return done.returncode, done.stdout.decode('utf-8', 'replace'), done.stderr.decode('utf-8', 'replace')


def log_segments(folder):
    """The log's files in a data folder, oldest first."""
    return sorted(os.path.join(folder, n) for n in os.listdir(folder) if n.startswith('log-')
                  and n.endswith('.aof'))


class Case(unittest.TestCase):
    """A test case whose tests say in one line what they did: self.did('...')."""
    longMessage = True

    def did(self, text):
        self.what_was_done = text

    def server(self, flags=None, start=True, **more):
        """A server that ends, with its folder, when the test ends."""
        s = Server(flags, **more)
        self.addCleanup(s.drop)
        return s.start() if start else s

    def connect(self, server, **more):
        c = Conn(server.port, **more)
        self.addCleanup(c.close)
        return c

    def assertError(self, start, answer):
        """`answer`, a value from pipe() or reply(), is an error whose text begins with `start`."""
        self.assertIsInstance(answer, ReplyError, f'expected an error "{start}", got {answer!r}')
        self.assertTrue(str(answer).startswith(start), f'expected an error "{start}", got "{answer}"')


class _Lines(unittest.TestResult):
    """One line a test."""

    def startTest(self, test):
        super().startTest(test)
        self.since = time.monotonic()
        self.problem = None

    def _note(self, kind, test, err):
        import traceback
        self.problem = kind
        self.trace = ''.join(traceback.format_exception(*err))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._note('FAILED', test, err)

    def addError(self, test, err):
        super().addError(test, err)
        if not isinstance(test, unittest.TestCase):  # a setUpClass: its tests do not run, so it counts as one
            self.startTest(test)
            self._note('FAILED', test, err)
            self.stopTest(test)
        self._note('FAILED', test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.problem, self.trace = 'skipped', reason

    def stopTest(self, test):
        name = test.shortDescription() or test.id().split('.')[-1].removeprefix('test_').replace('_', ' ')
        took = time.monotonic() - self.since
        state = self.problem or 'ok'
        line = f'{state:7} {name} ({took:.1f} s)'
        if state == 'skipped':
            line += f': {self.trace}'
        elif getattr(test, 'what_was_done', '') and state == 'ok':
            line += f': {test.what_was_done}'
        print(line, flush=True)
        if state == 'FAILED':
            print(self.trace, flush=True)
        super().stopTest(test)


def main():
    """Runs the calling file's tests (all, or those whose names contain a word of the command line)."""
    module = sys.modules['__main__']
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    words = [w for w in sys.argv[1:] if not w.startswith('-')]
    tests = [t for group in suite for t in group if not words or any(w in t.id() for w in words)]
    if not os.path.exists(SERVER) and not shutil.which(SERVER):
        raise SystemExit(f'{SERVER} is not there; build it with make')
    result = _Lines()
    unittest.TestSuite(tests).run(result)
    failed = len(result.failures) + len(result.errors)
    print(f'{result.testsRun - failed - len(result.skipped)} passed, {failed} failed'
          + (f', {len(result.skipped)} skipped' if result.skipped else ''), flush=True)
    sys.exit(1 if failed else 0)
