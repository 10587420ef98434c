#!/usr/bin/python3
"""Backups of a running server, and going back in time, with real processes and files; digests must be
equal."""
import os, random, threading, time

import harness


def digest(server):
    with server.connect() as c:
        return c.cmd('DEBUG', 'DIGEST')


def iso(ms):
    return time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(ms // 1000)) + '.%03dZ' % (ms % 1000)


class RestoreTest(harness.Case):
    FLAGS = {'enable-debug-command': 'yes', 'log-segment-bytes': '256kb'}

    def on(self, folder):
        """A server on an existing data folder."""
        server = harness.Server(self.FLAGS)
        server.flags['dir'] = folder
        self.addCleanup(server.drop)
        return server.start()

    def write(self, conn, rounds, seed):
        rng = random.Random(seed)
        for _ in range(rounds):
            key = 'k%d' % rng.randrange(200)
            conn.pipe(
                [('SET', key, 'v' * rng.randrange(600)), ('HSET', 'h', key, rng.random()), ('INCR', 'n')])

    def test_a_time_an_offset_and_a_tag(self):
        node = self.server(self.FLAGS)
        c = self.connect(node)
        self.write(c, 300, 1)
        c.cmd('BGSAVE', 'TAG', 'one')
        harness.wait_until('the snapshot', lambda: b'bgsave_in_progress:0' in c.cmd('INFO', 'persistence'))
        tagged = digest(node)
        self.write(c, 300, 2)
        middle = digest(node)
        offset = int(c.cmd('INFO', 'persistence').split(b'log_end_offset:')[1].split(b'\r')[0])
        seconds, micros = c.cmd('TIME')
        time.sleep(0.02)
        self.write(c, 300, 3)
        now = digest(node)
        self.assertNotEqual(middle, now)
        points = {'tag:one': tagged, str(offset): middle,
                  iso(int(seconds) * 1000 + int(micros) // 1000 + 5): middle}
        for i, (point, wanted) in enumerate(points.items()):
            into = os.path.join(node.folder, 'restored-%d' % i)
            code, out, err = harness.run(
                [harness.SERVER, '--dir', node.data, '--restore-to', point, '--into', into])
            self.assertEqual(0, code, point + ': ' + out + err)
            self.assertEqual(wanted, digest(self.on(into)), point)
            code, out, err = harness.run(
                [harness.SERVER, '--dir', node.data, '--restore-to', point, '--into', into])
            self.assertEqual(1, code)
            self.assertIn('not empty', err)
        code, out, err = harness.run([harness.SERVER, '--dir', node.data, '--restore-to', '99999999999',
                                      '--into', os.path.join(node.folder, 'never')])
        self.assertEqual(1, code)
        self.assertIn('behind the end of the log', err)
        self.assertEqual(now, digest(node))
        self.did(f'{len(points)} points restored while the server ran')

    def test_backups_while_it_is_written_to(self):
        node = self.server({**self.FLAGS, 'log-keep-bytes': '0', 'snapshot-keep': '1'})
        copy = os.path.join(node.folder, 'backup')
        stop = threading.Event()

        def load():
            with node.connect() as c:
                seed = 0
                while not stop.is_set():
                    seed += 1
                    self.write(c, 20, seed)

        thread = threading.Thread(target=load)
        thread.start()
        try:
            for i in range(8):
                time.sleep(0.15)
                with node.connect() as c:
                    if i % 3 == 2:
                        c.cmd('BGREWRITEAOF')
                code, out, err = harness.run([harness.SERVER, '--dir', node.data, '--backup-to', copy])
                self.assertEqual(0, code, out + err)
        finally:
            stop.set()
            thread.join()
        code, out, err = harness.run([harness.SERVER, '--dir', node.data, '--backup-to', copy])
        self.assertEqual(0, code, out + err)
        wanted = digest(node)
        code, out, err = harness.run([harness.CHECK, copy])
        self.assertEqual(0, code, out + err)
        self.assertEqual(wanted, digest(self.on(copy)))
        self.did('nine backups into one folder, trims in between')

    def test_listing_and_repairing_a_log(self):
        node = self.server(self.FLAGS)
        c = self.connect(node)
        self.write(c, 50, 1)
        good = digest(node)
        end = int(c.cmd('INFO', 'persistence').split(b'log_end_offset:')[1].split(b'\r')[0])
        c.cmd('SET', 'the-one', 'damaged')
        self.write(c, 50, 2)
        self.assertEqual(0, node.stop())
        code, out, err = harness.run([harness.CHECK, '--list', '--from', str(end), node.data])
        self.assertEqual(0, code, err)
        self.assertIn('SET the-one damaged', out)
        self.assertNotIn('HOLDFAST.EPOCH', out)
        path = harness.log_segments(node.data)[0]
        with open(path, 'rb') as f:
            whole = f.read()
        at = whole.index(b'the-one')
        with open(path, 'r+b') as f:
            f.seek(at)
            f.write(b'THE')
        self.assertEqual(1, harness.run([harness.CHECK, node.data])[0])
        before = set(os.listdir(node.data))
        code, out, err = harness.run([harness.CHECK, '--repair', node.data])
        self.assertEqual(0, code, out + err)
        self.assertIn('then ends at offset %d;' % end, out)
        self.assertEqual({'rescue'}, set(os.listdir(node.data)) - before)
        self.assertEqual(0, harness.run([harness.CHECK, node.data])[0])
        self.assertEqual(good, digest(self.on(node.data)))
        code, out, err = harness.run([harness.CHECK, '--repair', node.data])
        self.assertEqual(2, code, 'a server is running on it')
        self.did('a byte changed, found, cut; the digest is that of the moment before')

    def test_links_in_the_backup_folder_are_not_followed(self):
        node = self.server(self.FLAGS)
        self.write(self.connect(node), 5, 1)
        copy = os.path.join(node.folder, 'backup')
        outside = os.path.join(node.folder, 'outside')
        os.mkdir(copy)
        with open(outside, 'w') as f:
            f.write('mine')
        os.symlink(outside, os.path.join(copy, os.path.basename(harness.log_segments(node.data)[0])))
        code, out, err = harness.run([harness.SERVER, '--dir', node.data, '--backup-to', copy])
        self.assertEqual(1, code, out + err)
        with open(outside) as f:
            self.assertEqual('mine', f.read())
        self.did('a link refused, its target as it was')


if __name__ == '__main__':
    harness.main()
