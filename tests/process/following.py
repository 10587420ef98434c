"""What the tests of replication share: pairs of servers, when two of them hold the same, and a link that can
be bad."""
import os, select, socket, threading, time

import harness
from harness import Conn, wait_until


def info(c, section='replication'):
    """A section of INFO as a dict of texts."""
    lines = c.cmd('INFO', section).decode().split('\r\n')
    return dict(line.split(':', 1) for line in lines if ':' in line)


def stat(server, name, section='stats'):
    with server.connect() as c:
        return info(c, section).get(name)


def digest(server):
    with server.connect() as c:
        return c.cmd('DEBUG', 'DIGEST')


def state(server):
    """(link, offset) as INFO tells them; a server that can't answer now has none."""
    try:
        with server.connect(timeout=3) as c:
            got = info(c)
            return got.get('master_link_status', 'primary'), int(got['master_repl_offset'])
    except (OSError, ConnectionError, harness.ReplyError):
        return None, None


def fill(c, keys, size=100, name='key'):
    for at in range(0, keys, 1000):
        c.pipe([('SET', f'{name}:{i}', f'{i}:'.encode() + os.urandom(size))
                for i in range(at, min(keys, at + 1000))])


class ReplicationCase(harness.Case):
    def primary(self, flags=None, **more):
        return self.server({'enable-debug-command': 'local', **(flags or {})}, **more)

    def replica(self, of, flags=None, **more):
        """Follows `of`: a server, or a port."""
        port = of if isinstance(of, int) else of.port
        return self.primary({'replicaof': f'127.0.0.1 {port}', **(flags or {})}, **more)

    def same(self, primary, *replicas, seconds=20):
        """Waits until all hold what the primary holds, byte for byte by the digest."""
        for replica in replicas:
            def caught_up():
                link, offset = state(replica)
                return link == 'up' and offset == state(primary)[1]
            try:
                wait_until('the replica has everything', caught_up, seconds)
            except AssertionError as e:
                raise AssertionError(f'{e}: primary {state(primary)}, replica {state(replica)}; its log '
                                     f'ends: '
                                     f'{replica.log()[-1500:]}\nthe primary\'s: {primary.log()[-1500:]}')
            self.assertEqual(digest(primary), digest(replica), 'the digests differ at the same offset')

    def linked(self, replica, seconds=15):
        """The link is up, and what came in full is loaded."""
        def ready():
            with replica.connect() as c:
                got = info(c)
            return (got['master_link_status'], got['master_sync_in_progress']) == ('up', '0')
        wait_until('the link is up', ready, seconds)

    def full_syncs(self, server):
        return int(stat(server, 'sync_full'))

    def last_error(self, replica):
        return stat(replica, 'master_link_last_error', 'replication') or ''

    def error_says(self, replica, words, seconds=10):
        """Waits until INFO names the reason, and checks that the log does too."""
        try:
            wait_until(f'master_link_last_error says {words!r}', lambda: words in self.last_error(replica),
                       seconds)
        except AssertionError as e:
            raise AssertionError(f'{e}; it says {self.last_error(replica)!r}; log: {replica.log()[-800:]}')
        self.assertIn(words, replica.log())

    def check(self, folder):
        code, out, err = harness.run([harness.CHECK, folder])
        self.assertEqual(0, code, f'holdfast-check {folder}: {out[-1500:]} {err[-500:]}')
        return out

    def end_sound(self, *servers):
        """Each ends in order and leaves a folder that holdfast-check finds sound."""
        for server in servers:
            self.assertEqual(0, server.stop())
            self.check(server.data)


class Link:
    """A proxy on a port of its own. Of what flows from the server to the client: `rate` bytes a second at
    most (None: all), `cut_at` closes the connection before that byte, `flip_at` changes it; each happens
    once. `silent` swallows everything in both directions without a word, as a pulled cable does."""

    def __init__(self, target):
        self.target, self.rate, self.cut_at, self.flip_at = target, None, None, None
        self.silent, self.carried, self.connections, self.ended = False, 0, 0, False
        self.listener = socket.socket()
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(('127.0.0.1', self.target))
            except OSError:
                if self.ended:
                    return
                near.close()
                continue
            self.connections += 1
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near, far):
        down = 0  # bytes of this connection
        try:
            while True:
                ready, _, _ = select.select([near, far], [], [], 0.5)
                if self.ended:
                    return
                for side in ready:
                    data = side.recv(1 << 14)
                    if not data:
                        return
                    if self.silent:
                        continue
                    if side is far:
                        data, end = self._spoil(data, down)
                        down += len(data)
                        self.carried += len(data)
                        near.sendall(data)
                        if end:
                            return
                        if self.rate:
                            time.sleep(len(data) / self.rate)
                    else:
                        far.sendall(data)
        except OSError:
            pass
        finally:
            near.close()
            far.close()

    def _spoil(self, data, at):
        if self.flip_at is not None and at <= self.flip_at < at + len(data):
            i = self.flip_at - at
            data = data[:i] + bytes([data[i] ^ 0x10]) + data[i + 1:]
            self.flip_at = None
        if self.cut_at is not None and at <= self.cut_at < at + len(data):
            data, self.cut_at = data[:self.cut_at - at], None
            return data, True
        return data, False

    def end(self):
        self.ended = True
        self.listener.close()
