#!/usr/bin/python3
"""Every call that can fail, failing once: the n-th write (whole, or half done), sync, rename, truncate, open,
mkdir, unlink and allocation, for n = 1, 2, 3 ... until a run meets no failure. Each in a short life of a
server (start, durable writes, snapshots, a tag, a trim, a clean end), a backup, a restore and a repair.
Afterwards a clean start holds everything that was acknowledged, and the command, run again, gets to its end.
Short: a few n of each, drawn with a fixed seed; --long: all."""
import concurrent.futures, errno, hashlib, itertools, os, random, shutil, socket, subprocess, threading

import harness
from harness import Conn, ReplyError

# A failed write is also one on a full disk; the others are what a dying disk says.
KINDS = {'write': errno.ENOSPC, 'short': errno.EIO, 'sync': errno.EIO, 'rename': errno.EIO,
         'truncate': errno.EIO, 'open': errno.EMFILE, 'mkdir': errno.ENOSPC, 'unlink': errno.EIO}
FLAGS = {'appendfsync': 'always', 'log-segment-bytes': '64kb', 'log-preallocate-bytes': '16kb',
         'log-keep-bytes': '0', 'snapshot-keep': '1', 'enable-debug-command': 'yes'}
CALLS_MAX = 400       # more than any of these lives has
SHORT_RUNS = 6        # of each kind and procedure, at most
SHORT_ALLOCATIONS, LONG_ALLOCATIONS = 12, 300
# Anything else (a segment violation above all) is a crash, not an end.
CLEAN_ENDS = (0, 1, 2, -6, -9)


_ports, _ports_lock = itertools.cycle(range(21200, 21300)), threading.Lock()


def next_port():
    """Below the range that connections are given ports from: servers that start at once, and start again,
    must not meet one there."""
    with _ports_lock:
        while True:
            port = next(_ports)
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(('127.0.0.1', port))
                    return port
                except OSError:
                    pass


def build(folder, source):
    out = os.path.join(folder, source.replace('.c', '.so'))
    subprocess.run(['gcc', '-shared', '-fPIC', '-O1', '-o', out, os.path.join(harness.HERE, source), '-ldl'],
                   check=True)
    return out


def files_of(folder):
    """name -> digest of content, LOCK aside."""
    found = {}
    for at, _, names in os.walk(folder):
        for name in names:
            if name == 'LOCK':
                continue
            with open(os.path.join(at, name), 'rb') as f:
                found[os.path.relpath(os.path.join(at, name), folder)] = hashlib.sha256(f.read()).hexdigest()
    return found


def value_of(n):
    """2 KiB that lz4 finds nothing in."""
    return random.Random(n).randbytes(2048)


class Failure:
    """One failing call: the environment that plans it, and whether it came."""

    def __init__(self, folder, shim, **env):
        self.hit_path = os.path.join(folder, 'hit')
        self.env = {'LD_PRELOAD': shim, 'HOLDFAST_SHIM_HIT': self.hit_path, **env}

    @property
    def hit(self):
        return os.path.exists(self.hit_path)


class FailNth(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = harness.temp_dir()
        cls.shim, cls.alloc_shim = build(cls.folder, 'shim.c'), build(cls.folder, 'shim_alloc.c')
        cls.make_base()

    @classmethod
    def make_base(cls):
        """A folder with a tagged snapshot and log behind it; a backup of an earlier moment; a damaged
        copy."""
        server = harness.Server({**FLAGS, 'log-keep-bytes': '1gb'}).start()
        with server.connect() as c:
            for i in range(20):
                c.cmd('SET', f'base{i}', value_of(i))
            c.cmd('BGSAVE', 'TAG', 'one')
            cls.wait_for_snapshot(c)
            cls.tagged = c.cmd('DEBUG', 'DIGEST')
            cls.early_backup = os.path.join(cls.folder, 'early')
            code, out, err = harness.run(
                [harness.SERVER, '--dir', server.data, '--backup-to', cls.early_backup])
            assert code == 0, err
            for i in range(50):
                c.cmd('SET', f'later{i}', value_of(100 + i))
            cls.before_damage = c.cmd('DEBUG', 'DIGEST')
            c.cmd('SET', 'the-one', 'damaged')
            for i in range(5):
                c.cmd('SET', f'last{i}', value_of(200 + i))
            cls.end = c.cmd('DEBUG', 'DIGEST')
        assert server.stop() == 0
        cls.base, cls.damaged = os.path.join(cls.folder, 'base'), os.path.join(cls.folder, 'damaged')
        shutil.copytree(server.data, cls.base)
        server.drop()
        shutil.copytree(cls.base, cls.damaged)
        path = harness.log_segments(cls.damaged)[-1]
        with open(path, 'r+b') as f:
            f.seek(f.read().index(b'the-one'))
            f.write(b'THE')

    @staticmethod
    def wait_for_snapshot(c):
        harness.wait_until('the snapshot', lambda: b'bgsave_in_progress:0' in c.cmd('INFO', 'persistence'))

    # ---- running with failures -----------------------------------------------------------------------------

    def numbers(self, kind, procedure):
        """Long: all, one after another, until one meets no failure. Short: a few, early ones rather than
        late."""
        if harness.LONG:
            return range(1, CALLS_MAX)
        draw = random.Random(f'{kind} {procedure}')
        return sorted({1 + int(draw.expovariate(1 / 7)) for _ in range(SHORT_RUNS)})

    def each(self, procedure, run):
        """`run(folder, failure)` for every kind and number; counts the failures that came."""
        def one_kind(kind):
            came = runs = 0
            for n in self.numbers(kind, procedure):
                folder = os.path.join(self.folder, f'{procedure}-{kind}-{n}')
                os.mkdir(folder)
                failure = Failure(folder, self.shim, HOLDFAST_SHIM_NTH=f'{kind} {n} {KINDS[kind]}',
                                  HOLDFAST_SHIM_DIR=os.path.join(folder, 'data'))
                runs += 1
                try:
                    run(folder, failure)
                except Exception as e:
                    raise AssertionError(f'{procedure}, {kind} number {n} ({folder}): {e}') from e
                hit = failure.hit
                shutil.rmtree(folder)
                if not hit:
                    if harness.LONG:
                        return came, runs, f'{came} {kind}'
                    continue
                came += 1
            if harness.LONG:
                raise AssertionError(f'{procedure}, {kind}: more than {CALLS_MAX} calls')
            return came, runs, f'{came} {kind}'

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            done = list(pool.map(one_kind, KINDS))
        came, runs = sum(d[0] for d in done), sum(d[1] for d in done)
        self.assertGreater(came, 0, 'no failure came: a hole in the test')
        self.did(f'{came} failures in {runs} runs ({", ".join(d[2] for d in done)})')

    # ---- a server's life -----------------------------------------------------------------------------------

    def live(self, server, known, doubted, tags):
        """Notes what was acknowledged; ends when the server does."""
        with Conn(server.port, timeout=20) as c:
            def write(key, value):
                doubted[key] = value
                if not isinstance(c.pipe([('SET', key, value)])[0], ReplyError):
                    known[key] = value
                    del doubted[key]

            def snapshot(*command):
                c.pipe([command])
                self.wait_for_snapshot(c)

            for i in range(24):
                write(f'k{i}', value_of(1000 + i))
            snapshot('BGSAVE', 'TAG', 'mine')
            write('behind', b'1')
            if not isinstance(c.pipe([('SNAPSHOT', 'TAG', 'one', 'renamed')])[0], ReplyError):
                tags.add('renamed')
            for i in range(10):
                write(f'k{i}', value_of(2000 + i))
            snapshot('BGREWRITEAOF')
            write('last', b'2')
            c.send(harness.encode(('SHUTDOWN',)))
            c.sock.settimeout(5)
            while c.sock.recv(1 << 16):  # an error, when it can't; or its end
                pass

    def one_life(self, folder, failure):
        """Starts with the failure ahead, lives, ends; then judges what is left with a healthy start."""
        shutil.copytree(self.base, os.path.join(folder, 'data'))
        known, doubted, tags = {f'base{i}': value_of(i) for i in range(20)}, {}, set()
        server = harness.Server(FLAGS, folder=folder, env=failure.env, port=next_port())
        try:
            server.start()
            self.live(server, known, doubted, tags)
        except (OSError, AssertionError):
            pass  # it ended early, or would not end while its log can't be written
        try:
            server.process.wait(0.5)
        except subprocess.TimeoutExpired:
            pass
        finally:
            server.kill()
        if server.process.returncode not in CLEAN_ENDS:
            raise AssertionError(f'ended with {server.process.returncode}: {server.log()[-400:]}')
        if not known.keys() >= {'last'} and not server.log().strip():
            raise AssertionError('the server ended without a word')
        server.env = {}
        try:
            server.start()
        except AssertionError as e:
            raise AssertionError(f'a healthy start: {e}') from e
        with server.connect() as c:
            for key, value in known.items():
                found = c.cmd('GET', key)
                if found != value and found != doubted.get(key, value):
                    raise AssertionError(f'{key} was acknowledged; found {str(found)[:40]}; '
                                         f'{server.log()[-1500:]}')
            listed = str(c.cmd('SNAPSHOT', 'LIST'))
            for tag in tags:
                if tag not in listed:
                    raise AssertionError(f'the tag {tag} was acknowledged and is not in {listed}')
        if server.stop() != 0:
            raise AssertionError('a healthy end was none')
        self.sound(server.data)

    def sound(self, folder):
        code, out, err = harness.run([harness.CHECK, folder])
        if code != 0:
            raise AssertionError(f'holdfast-check: {out} {err}')

    def digest(self, folder):
        """Of a server on that folder. AssertionError with its words when it refuses."""
        server = harness.Server(FLAGS, port=next_port())
        server.flags['dir'] = folder
        try:
            server.start()
            with server.connect() as c:
                found = c.cmd('DEBUG', 'DIGEST')
            if server.stop() != 0:
                raise AssertionError('a healthy end was none')
            return found
        finally:
            server.drop()

    def test_a_servers_life(self):
        self.each('life', self.one_life)

    def test_a_first_start(self):
        def run(folder, failure):
            server = harness.Server(FLAGS, folder=folder, env=failure.env, port=next_port())
            known = {}
            try:
                server.start()
                with server.connect() as c:
                    for i in range(3):
                        c.cmd('SET', f'k{i}', i)
                        known[f'k{i}'] = str(i).encode()
            except (OSError, ConnectionError, AssertionError, ReplyError):
                pass
            finally:
                server.kill()
            server.env = {}
            server.start()
            with server.connect() as c:
                for key, value in known.items():
                    if c.cmd('GET', key) != value:
                        raise AssertionError(f'{key} was acknowledged')
            if server.stop() != 0:
                raise AssertionError('a healthy end was none')
            self.sound(server.data)
        self.each('first start', run)

    # ---- commands ------------------------------------------------------------------------------------------

    def command(self, words, failure):
        code, out, err = harness.run(words, env=failure.env if failure else None)
        if code not in CLEAN_ENDS:
            raise AssertionError(f'ended with {code}: {out} {err}')
        if code != 0 and not (out + err).strip():
            raise AssertionError('failed without a word')
        if code != 0 and failure is None:
            raise AssertionError(f'run again, it fails: {out} {err}')
        return code

    def maker(self, words, start_with, wanted, stays_usable):
        """A command that makes the folder `data`: whole when it says so, else unusable and said so, or as
        before."""
        def run(folder, failure):
            data, before = os.path.join(folder, 'data'), files_of(self.base)
            if start_with:
                shutil.copytree(start_with, data)
            code = self.command(words + [data], failure)
            if files_of(self.base) != before:
                raise AssertionError('the source has changed')
            if os.path.isdir(data) and set(os.listdir(data)) - {'LOCK'}:
                copy = os.path.join(folder, 'copy')
                shutil.copytree(data, copy)
                try:
                    found = self.digest(copy)
                except AssertionError as e:
                    if code == 0 or stays_usable or 'was not finished' not in str(e):
                        raise
                else:
                    if found != wanted and (code == 0 or not stays_usable):
                        raise AssertionError('it starts with something else than was promised')
            # A restore whose very last call fails (the folder's sync, when the mark has gone) has made a
            # whole folder: it says that it failed, and is rightly not begun anew.
            has = lambda name: os.path.exists(os.path.join(data, name))
            whole = '--into' in words and has('MANIFEST') and not has('INCOMPLETE')
            if code != 0 and not whole:
                self.command(words + [data], None)
            if self.digest(data) != wanted:
                raise AssertionError('the folder holds something else than was promised')
            self.sound(data)
        return run

    def test_a_first_backup(self):
        self.each('backup',
                  self.maker([harness.SERVER, '--dir', self.base, '--backup-to'], None, self.end, False))

    def test_the_next_backup(self):
        self.each('next backup',
                  self.maker([harness.SERVER, '--dir', self.base, '--backup-to'], self.early_backup,
                                            self.end, True))

    def test_a_restore(self):
        self.each('restore',
                  self.maker([harness.SERVER, '--dir', self.base, '--restore-to', 'tag:one', '--into'], None,
                                        self.tagged, False))

    def test_a_repair(self):
        originals = set(files_of(self.damaged).values())

        def run(folder, failure):
            data = os.path.join(folder, 'data')
            shutil.copytree(self.damaged, data)
            for attempt in (failure, None):
                if self.command([harness.CHECK, '--repair', data], attempt) == 0:
                    break
                if originals - set(files_of(data).values()):
                    raise AssertionError('an original is gone')
            if originals - set(files_of(data).values()):
                raise AssertionError('an original is gone')
            if self.digest(data) != self.before_damage:
                raise AssertionError('the folder holds something else than was announced')
            self.sound(data)
        self.each('repair', run)

    # ---- memory --------------------------------------------------------------------------------------------

    def test_memory(self):
        """An allocation that gets nothing ends the server or is told; what was acknowledged stays."""
        counted = os.path.join(self.folder, 'counted')
        folder = os.path.join(self.folder, 'count')
        os.mkdir(folder)
        self.one_life(folder,
                      Failure(folder, self.alloc_shim, HOLDFAST_ALLOC_COUNT=counted, HOLDFAST_ALLOC_NTH='0'))
        with open(counted) as f:
            total = int(f.read())
        draw = random.Random(1)
        chosen = [draw.randrange(1, total + 1)
                  for _ in range(LONG_ALLOCATIONS if harness.LONG else SHORT_ALLOCATIONS)]

        def one(n):
            place = os.path.join(self.folder, f'memory-{n}')
            os.mkdir(place)
            failure = Failure(place, self.alloc_shim, HOLDFAST_ALLOC_NTH=str(n))
            try:
                self.one_life(place, failure)
            except Exception as e:
                raise AssertionError(f'allocation number {n} ({place}): {e}') from e
            hit = failure.hit
            shutil.rmtree(place)
            return hit

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            came = sum(pool.map(one, sorted(set(chosen))))
        self.assertGreater(came, 0, 'no failure came: a hole in the test')
        self.did(f'{came} of {total} allocations failed, one in each life')


if __name__ == '__main__':
    harness.main()
