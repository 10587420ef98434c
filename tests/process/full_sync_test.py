#!/usr/bin/python3
"""A full sync into a replica that holds something else: its old data set answers reads until the new one
stands in its place, at one moment; what is cut, damaged or killed on the way leaves the old one as it was;
when memory does not allow two, the old one goes first, and the log says so."""
import os, threading, time

import harness
from following import Link, ReplicationCase, digest, stat
from harness import ReplyError, wait_until

KEYS = 300_000


def fill(c, keys, value, bytes=60):
    pad = value + b'.' * (bytes - len(value))
    for at in range(0, keys, 2000):
        c.pipe([('SET', f'key:{i}', pad) for i in range(at, min(keys, at + 2000))])


class Reader(threading.Thread):
    """Reads one key after the other on a connection of its own, as fast as it goes, until told to stop."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.c = server.connect()
        self.seen, self.errors, self.slowest, self.ended = [], [], 0.0, False
        self.times = []
        self.start()

    def run(self):
        i = 0
        while not self.ended:
            i = (i + 7919) % KEYS
            begun = time.perf_counter()
            try:
                value = self.c.cmd('GET', f'key:{i}')
            except (ReplyError, OSError) as e:
                self.errors.append(repr(e))
                if not isinstance(e, ReplyError):
                    return
                continue
            self.times.append(time.perf_counter() - begun)
            word = (value or b'nothing').split(b'.')[0]
            if not self.seen or self.seen[-1] != word:
                self.seen.append(word)

    def end(self):
        self.ended = True
        self.join()
        self.times.sort()
        return f'{len(self.times)} reads, p99.9 {1e3 * self.times[len(self.times) * 999 // 1000]:.1f} ms, ' \
               f'slowest {1e3 * self.times[-1]:.1f} ms'


class FullSyncTest(ReplicationCase):
    def two(self, keys=KEYS, flags=None, **more):
        """One that holds `old`, and another cluster's that holds `new`."""
        old, new = self.primary(flags, **more), self.primary()
        for server, value in ((old, b'old'), (new, b'new')):
            with server.connect() as c:
                fill(c, keys, value)
        return old, new

    def follow(self, replica, port):
        with replica.connect() as c:
            c.cmd('REPLICAOF', '127.0.0.1', port)

    def test_reads_are_answered_with_the_old_data_until_the_new_stands_in_its_place(self):
        replica, primary = self.two()
        reader = Reader(replica)
        with primary.connect() as c:
            c.cmd('DEL', 'key:0')
        self.follow(replica, primary.port)
        wait_until('the new data is there', lambda: reader.seen[-1:] == [b'new'], 60)
        time.sleep(0.5)
        figures = reader.end()
        self.same(primary, replica)
        self.assertEqual([], reader.errors)
        self.assertEqual([b'old', b'new'], reader.seen)
        self.assertIn('keys loaded beside the old data set', replica.log())
        with replica.connect() as c:
            self.assertEqual(KEYS - 1, c.cmd('DBSIZE'))
        replica.flags['replicaof'] = f'127.0.0.1 {primary.port}'
        replica.kill()
        replica.start()
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        self.check(replica.data)
        self.did(f'{KEYS} keys exchanged for {KEYS}: {figures}')

    def test_a_link_that_is_cut_damaged_or_stopped_on_the_way_leaves_the_old_data_as_it_was(self):
        replica, primary = self.two(keys=60_000)
        before = digest(replica)
        link = Link(primary.port)
        self.addCleanup(link.end)
        link.rate = 100_000
        self.follow(replica, link.port)
        for what in ('cut_at', 'flip_at'):
            self.syncing(replica)
            at = link.connections
            setattr(link, what, 120_000)
            wait_until('it begins again', lambda: link.connections > at, 20)
            self.assertEqual(before, digest(replica))
        self.syncing(replica)
        with replica.connect() as c:
            c.cmd('REPLICAOF', 'NO', 'ONE')
            self.assertEqual(b'old', c.cmd('GET', 'key:7').split(b'.')[0])
            c.cmd('SET', 'more', 1)
        self.follow(replica, link.port)
        self.syncing(replica)
        changed = digest(replica)
        replica.kill()
        replica.start()
        self.assertEqual(changed, digest(replica))
        self.check(replica.data)
        link.rate = None
        self.follow(replica, link.port)
        self.same(primary, replica, seconds=30)
        self.did('cut, damaged, promoted, killed on the way: the old data each time; then the new')

    def test_a_primary_that_dies_while_it_takes_and_sends_a_snapshot_leaves_the_old_data_as_it_was(self):
        replica, primary = self.two()
        before = digest(replica)
        self.follow(replica, primary.port)
        self.syncing(replica)
        self.assertNotIn('Snapshot snapshot-', primary.log(),
                         'the snapshot was taken before anything of it was sent')
        primary.kill()
        self.assertEqual(before, digest(replica))
        self.assertNotIn('received from the primary', replica.log())
        primary.start()
        self.same(primary, replica, seconds=60)
        self.check(replica.data)
        self.did('killed with a part sent: the old data; then the new')

    def syncing(self, replica):
        wait_until('a part of the snapshot has come', lambda: int(
            stat(replica, 'master_sync_read_bytes', 'replication') or 0) > 0, 20)

    def test_where_memory_does_not_allow_two_the_old_one_goes_first_and_the_log_says_so(self):
        for option, word in (('maxmemory', 'maxmemory'), ('replica-load', 'drop-first')):
            replica, primary = self.two(keys=60_000)
            with replica.connect() as c:
                used = int(stat(replica, 'used_memory', 'memory'))
                c.cmd('CONFIG', 'SET', option, used + 1_000_000 if option == 'maxmemory' else word)
            self.follow(replica, primary.port)
            self.same(primary, replica, seconds=30)
            said = [line for line in replica.log().split('\n')
                    if 'is dropped before the new one is loaded' in line]
            self.assertEqual(1, len(said), replica.log())
            self.assertIn(word, said[0])
            self.assertNotIn('loaded beside', replica.log())
            self.did(said[0].split('meanwhile: ')[1])

    def test_who_watches_or_waits_or_copies_on_the_old_data_set_is_told(self):
        replica, primary = self.two(keys=3000)
        for server, n in ((replica, 3), (primary, 5)):
            with server.connect() as c:
                for i in range(n):
                    c.cmd('TASK.SUBMIT', f'job:{i}', 'QUEUE', 'q', 'PAYLOAD', 'p')
        watcher, watcher2 = self.connect(replica), self.connect(replica)
        watcher.cmd('WATCH', 'key:1')
        watcher2.cmd('WATCH', 'nowhere')
        self.follow(replica, primary.port)
        self.same(primary, replica)
        for c in (watcher, watcher2):
            c.cmd('MULTI')
            c.cmd('GET', 'key:2')
        self.assertIsNone(watcher.cmd('EXEC'))
        self.assertEqual([b'new'], [v.split(b'.')[0] for v in watcher2.cmd('EXEC')])
        with replica.connect() as c:
            counts = c.cmd('TASK.STATS', 'QUEUE', 'q')
            self.assertEqual(5, dict(zip(counts[::2], counts[1::2]))[b'pending'])
            c.cmd('REPLICAOF', 'NO', 'ONE')
            claims = c.cmd('TASK.CLAIM', 1, 'q', 'WORKER', 'w', 'COUNT', 10)
            self.assertEqual(5, len(claims))
        self.did('WATCH of a key that was exchanged fails, of one that never was holds; queues are the new '
                 'ones')

    def test_a_backup_meanwhile_is_one_of_the_old_data_or_fails_and_says_why(self):
        replica, one = self.two(keys=10_000)
        two = self.primary()
        for server in (one, two):
            with server.connect() as c:
                fill(c, 10_000, str(server.port).encode())
                c.cmd('SET', 'large', os.urandom(30_000_000))
        whole = called_off = 0
        for attempt in range(10):
            primary = (one, two)[attempt % 2]
            folder = os.path.join(replica.folder, f'backup{attempt}')
            os.mkdir(folder)
            self.follow(replica, primary.port)
            time.sleep(0.02 * attempt)
            # once it is over, with something of the new data's log: however fast the machine
            if attempt == 9:
                self.same(primary, replica, seconds=30)
                with primary.connect() as c:
                    c.cmd('SET', 'tick', 'first')
                self.same(primary, replica)
            code, out, err = harness.run([harness.CLI, '-p', str(replica.port), 'backup', folder], seconds=60)
            if code == 0:
                whole += 1
                self.assertIn('Verified: digest', out)
            elif 'takes over another data set' in out + err:
                called_off += 1
                self.assertEqual(1, code)
            else:
                self.assertRegex(out + err, 'no backup can begin in this phase|the log is empty so far')
            self.same(primary, replica, seconds=30)
            with primary.connect() as c:
                c.cmd('SET', 'tick', attempt)
            self.same(primary, replica)
        self.assertGreater(whole, 0)
        self.did(f'{whole} whole and verified, {called_off} called off, of 10')


if __name__ == '__main__':
    harness.main()
