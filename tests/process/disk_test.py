#!/usr/bin/python3
"""A disk that is full, slow, or fails to sync: writes are refused with the reason, reads go on, nothing
acknowledged is lost, and the server goes on by itself when there is room. A small tmpfs in a private mount
namespace where this user may mount one; a shim before pwrite and fsync otherwise, and for what a mount can't
play."""
import os, subprocess, threading, time

import harness
from harness import Conn, ReplyError

VALUE_BYTES = 4000


class Fleet:
    """Clients that write one new key at a time and remember what was acknowledged."""

    def __init__(self, port, clients=3):
        self.port, self.stop_asked = port, False
        self.acknowledged, self.in_doubt, self.errors = {}, {}, {}
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(clients)]
        for t in self.threads:
            t.start()

    def run(self, number):
        n, c = 0, None
        while not self.stop_asked:
            n += 1
            key = f'w{number}:{n}'
            value = (key.encode() + b'.') * (VALUE_BYTES // (len(key) + 1))
            self.in_doubt[key] = value
            try:
                c = c or Conn(self.port, timeout=2)
                answer = c.pipe([('SET', key, value)])[0]
                if isinstance(answer, ReplyError):
                    self.errors[str(answer)] = self.errors.get(str(answer), 0) + 1
                    time.sleep(0.05)
                else:
                    self.acknowledged[key] = value
                del self.in_doubt[key]
                time.sleep(0.003)
            except (OSError, ConnectionError):
                if c:
                    c.close()
                c = None
                time.sleep(0.05)
        if c:
            c.close()

    def stop(self):
        self.stop_asked = True
        for t in self.threads:
            t.join(10)

    def verify(self, c):
        """Everything acknowledged is there, and what was in doubt is whole or missing."""
        keys = list(self.acknowledged)
        for at in range(0, len(keys), 500):
            part = keys[at:at + 500]
            for key, value in zip(part, c.cmd('MGET', *part)):
                assert value == self.acknowledged[key], f'{key} was acknowledged; found: {str(value)[:60]}'
        for key, value in self.in_doubt.items():
            assert c.cmd('GET', key) in (None, value), f'{key} is neither whole nor missing'
        return len(keys)


class Mount:
    """A tmpfs of `megabytes` that only processes started through `before` see; this one reaches it through
    /proc."""

    def __init__(self, folder, megabytes):
        self.inside = folder
        script = f'mount -t tmpfs -o size={megabytes}m none "$1" && echo ready && exec sleep 600'
        self.holder = subprocess.Popen(['unshare', '-m', 'sh', '-c', script, 'sh', folder],
                                       stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, preexec_fn=harness.die_with_parent)
        self.works = self.holder.stdout.readline() == b'ready\n'
        if not self.works:
            self.end()
        self.before = ['nsenter', '-m', '-t', str(self.holder.pid)]
        self.outside = f'/proc/{self.holder.pid}/root{folder}'

    def end(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


def build_shim(folder):
    out = os.path.join(folder, 'shim.so')
    subprocess.run(['gcc', '-shared', '-fPIC', '-O1', '-o', out, os.path.join(harness.HERE, 'shim.c'),
                    '-ldl'], check=True)
    return out


class DiskTest(harness.Case):
    def full_disk(self, server, fill, free):
        fleet = Fleet(server.port)
        self.addCleanup(fleet.stop)
        harness.wait_until('a hundred writes', lambda: len(fleet.acknowledged) > 100)
        fill()
        try:
            harness.wait_until('writes are refused',
                               lambda: any(e.startswith('MISCONF') for e in fleet.errors), 20)
        except AssertionError as e:
            raise AssertionError(f'{e}; errors {fleet.errors}, acknowledged {len(fleet.acknowledged)}; '
                                 f'{server.log()[-600:]}')
        reason = next(e for e in fleet.errors if e.startswith('MISCONF'))
        self.assertIn('No space left', reason)
        with server.connect(timeout=3) as c:
            known = list(fleet.acknowledged)[:20]
            for key in known:
                self.assertEqual(fleet.acknowledged[key], c.cmd('GET', key))
            self.assertError('MISCONF', c.pipe([('DEL', known[0])])[0])
        # longer than the pause between its attempts: it must not take a failed attempt for room
        time.sleep(1.2)
        while_full = len(fleet.acknowledged)
        self.assertTrue(server.alive())
        since = time.monotonic()
        free()
        harness.wait_until('it goes on by itself', lambda: len(fleet.acknowledged) > while_full + 50, 15)
        took = time.monotonic() - since
        fleet.stop()
        self.assertEqual([], [e for e in fleet.errors if not e.startswith('MISCONF')])
        with server.connect() as c:
            fleet.verify(c)
        server.kill()
        server.start()
        with server.connect() as c:
            count = fleet.verify(c)
        refused = sum(fleet.errors.values())
        self.did(f'{count} acknowledged and there after kill -9, {refused} refused ("{reason[:70]}..."), '
                 f'reads went on, '
                 f'writes again {took:.1f} s after there was room')

    def on_tmpfs(self, policy):
        folder = harness.temp_dir()
        disk = os.path.join(folder, 'disk')
        os.mkdir(disk)
        mount = Mount(disk, 40)
        self.addCleanup(mount.end)
        if not mount.works:
            self.skipTest('this user may not mount a tmpfs; the shim has the same test')
        os.mkdir(mount.outside + '/data')
        ballast = mount.outside + '/ballast'

        def fill():
            with open(ballast, 'wb', buffering=0) as f:
                try:
                    while True:
                        f.write(bytes(1 << 16))
                except OSError:
                    pass
            try:  # the last pages, which were too small for the chunk above
                with open(ballast + '2', 'wb', buffering=0) as f:
                    while True:
                        f.write(bytes(512))
            except OSError:
                pass

        def free():
            os.remove(ballast)

        server = self.server({'appendfsync': policy, 'log-segment-bytes': '1mb', 'dir': disk + '/data'},
                             before=mount.before, folder=folder)
        self.full_disk(server, fill, free)

    def test_a_full_tmpfs_with_appendfsync_always(self):
        self.on_tmpfs('always')

    def test_a_full_tmpfs_with_appendfsync_everysec(self):
        self.on_tmpfs('everysec')

    def shimmed(self, policy):
        folder = harness.temp_dir()
        self.order = os.path.join(folder, 'order')
        env = {'LD_PRELOAD': build_shim(folder), 'HOLDFAST_SHIM': self.order,
               'HOLDFAST_SHIM_DIR': os.path.join(folder, 'data')}
        return self.server({'appendfsync': policy, 'log-segment-bytes': '1mb'}, folder=folder, env=env)

    def tell(self, words):
        with open(self.order + '.new', 'w') as f:
            f.write(words)
        os.replace(self.order + '.new', self.order)

    def test_a_disk_that_is_full_in_the_middle_of_a_write(self):
        for policy in ('always', 'everysec'):
            server = self.shimmed(policy)
            self.full_disk(server, lambda: self.tell('room 7777'), lambda: self.tell(''))
            server.kill()

    def failed_sync(self, policy):
        server = self.shimmed(policy)
        fleet = Fleet(server.port)
        self.addCleanup(fleet.stop)
        harness.wait_until('a hundred writes', lambda: len(fleet.acknowledged) > 100)
        self.tell('sync')
        code = server.wait(15)
        self.assertNotEqual(0, code)
        self.assertGreater(code, 0, 'it should exit by itself, not crash')
        fleet.stop()
        said = [line for line in server.log().splitlines() if 'sync' in line.lower()]
        self.assertTrue(said, 'nothing in the log about the sync')
        self.tell('')
        server.start()
        with server.connect() as c:
            count = fleet.verify(c)
        self.did(f'exit {code}, "{said[-1][-100:]}"; all {count} acknowledged are there')

    def test_a_failed_sync_ends_the_server_with_appendfsync_always(self):
        self.failed_sync('always')

    def test_a_failed_sync_ends_the_server_with_appendfsync_everysec(self):
        self.failed_sync('everysec')

    def test_a_slow_sync_does_not_stop_writes_with_appendfsync_everysec(self):
        server = self.shimmed('everysec')
        self.tell('slow 700')
        fleet = Fleet(server.port)
        self.addCleanup(fleet.stop)
        time.sleep(2.5)
        self.assertGreater(len(fleet.acknowledged), 100)
        self.tell('')
        fleet.stop()
        self.did(f'{len(fleet.acknowledged)} writes in 2.5 s while each sync took 0.7 s')

    def test_replies_are_held_once_no_sync_has_finished_for_two_seconds(self):
        server = self.shimmed('everysec')
        worst = 0.0
        with server.connect() as c:
            c.cmd('SET', 'a', 0)
            self.tell('slow 5000')
            end = time.monotonic() + 6
            while time.monotonic() < end:
                since = time.monotonic()
                c.cmd('SET', 'a', 1)
                worst = max(worst, time.monotonic() - since)
                time.sleep(0.002)
            self.tell('')
        self.assertGreater(worst, 1.0)
        self.did(f'each sync takes 5 s; the longest wait for a reply was {worst:.1f} s, until the sync was '
                 f'done')

    def test_a_slow_sync_holds_replies_with_appendfsync_always(self):
        server = self.shimmed('always')
        with server.connect() as c:
            c.cmd('SET', 'a', 1)
            self.tell('slow 300')
            since = time.monotonic()
            c.cmd('SET', 'a', 2)
            took = time.monotonic() - since
            self.tell('')
        self.assertGreater(took, 0.25)
        self.did(f'the reply came after {took:.2f} s, the sync took 0.30 s')


if __name__ == '__main__':
    harness.main()
