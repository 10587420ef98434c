#!/usr/bin/python3
"""holdfast-check --repair on folders that a server refuses: what comes back is all that was there, or the state at the
cut that was announced, and the originals are under rescue/."""
import os, random, shutil

import harness


def digest(server):
    with server.connect() as c:
        return c.cmd('DEBUG', 'DIGEST')


class RepairTest(harness.Case):
    FLAGS = {'enable-debug-command': 'yes', 'log-segment-bytes': '64kb'}

    def on(self, folder, start=True):
        server = harness.Server(self.FLAGS)
        server.flags['dir'] = folder
        self.addCleanup(server.drop)
        return server.start() if start else server

    def filled(self, rounds=(400, 40)):
        """A data folder of a server that ended: `rounds` of writes around one snapshot. The path, and its digest."""
        node = self.server(self.FLAGS)
        rng = random.Random(7)
        with node.connect() as c:
            for i, count in enumerate(rounds):
                if i > 0:
                    c.cmd('SAVE')
                for _ in range(count):
                    key = 'k%d' % rng.randrange(300)
                    c.pipe([('SET', key, rng.randbytes(200).hex()), ('INCR', 'n'), ('TASK.SUBMIT', 't%d' % rng.randrange(999))])
        found = digest(node)
        self.assertEqual(0, node.stop())
        return node.data, found

    def refused(self, folder):
        server = self.on(folder, start=False).launch()
        self.assertEqual(1, server.wait())
        self.assertIn('holdfast-check', server.log())

    def repaired(self, folder, before):
        """What it said; every file that was there is there still, here or under rescue/."""
        code, out, err = harness.run([harness.CHECK, '--repair', folder])
        self.assertEqual(0, code, out + err)
        kept = self.contents(folder) + self.contents(os.path.join(folder, 'rescue'))
        self.assertTrue(all(content in kept for content in before), 'an original is gone: ' + out)
        code, report, err = harness.run([harness.CHECK, folder])
        self.assertEqual(0, code, report + err)
        return out

    @staticmethod
    def contents(folder):
        out = []
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if name != 'LOCK' and os.path.isfile(path):
                with open(path, 'rb') as f:
                    out.append(f.read())
        return [content for content in out if content]

    def flip(self, path, at):
        with open(path, 'r+b') as f:
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 16]))

    def test_a_MANIFEST_that_is_lost_damaged_or_old_is_made_anew(self):
        for rounds in ((400,), (400, 300)):  # from the log alone; behind a snapshot
            data, wanted = self.filled(rounds)
            manifest = os.path.join(data, 'MANIFEST')
            with open(manifest, 'rb') as f:
                text = f.read()
            without_the_last = [l for l in text.decode().splitlines() if l.startswith('segment')][-1]
            for harm in ('lost', 'damaged', 'empty', 'old'):
                copy = os.path.join(harness.temp_dir(), 'copy')
                shutil.copytree(data, copy)
                manifest = os.path.join(copy, 'MANIFEST')
                if harm == 'lost':
                    os.remove(manifest)
                elif harm == 'damaged':
                    self.flip(manifest, 60)
                elif harm == 'empty':
                    os.truncate(manifest, 0)
                else:  # as it was before the last segment was begun
                    self.older(manifest, without_the_last)
                before = self.contents(copy)
                self.refused(copy)
                out = self.repaired(copy, before)
                self.assertIn('A new MANIFEST is made', out)
                self.assertEqual(wanted, digest(self.on(copy)), harm)
        self.did('lost, damaged, emptied and older than the log, with and without a snapshot: the digest is the old one')

    @staticmethod
    def older(manifest, line):
        """Takes `line` out; the sum is what --repair itself would find wrong, so a real one is needed."""
        import ctypes, ctypes.util
        xxh = ctypes.CDLL(ctypes.util.find_library('xxhash') or 'libxxhash.so.0')
        xxh.XXH3_64bits.restype = ctypes.c_uint64
        with open(manifest) as f:
            lines = [l for l in f.read().splitlines(True) if not l.startswith((line, 'sum ', 'clean', 'durable'))]
        body = ''.join(lines).encode()
        with open(manifest, 'wb') as f:
            f.write(body + b'sum %016x\n' % xxh.XXH3_64bits(body, len(body)))

    def test_damage_before_the_newest_snapshot_costs_nothing_behind_it(self):
        data, wanted = self.filled((350, 60, 200))
        newest = max(int(n[9:29]) for n in os.listdir(data) if n.startswith('snapshot-'))
        before_it = [p for p in harness.log_segments(data) if int(os.path.basename(p)[4:24]) <= newest]
        self.flip(before_it[-1], 2000)
        before = self.contents(data)
        self.refused(data)
        out = self.repaired(data, before)
        self.assertIn('made to begin at the snapshot', out)
        self.assertEqual(wanted, digest(self.on(data)))
        self.did('a byte changed in front of the snapshot, in its segment: the digest is the old one')

    def test_a_file_that_only_bears_the_name_of_a_later_snapshot_goes_aside(self):
        for content in (b'', b'REDIS0011 not one of ours' * 10):
            data, wanted = self.filled()
            with open(os.path.join(data, 'snapshot-%020d.rdb' % 10**12), 'wb') as f:
                f.write(content)
            before = self.contents(data)
            self.refused(data)
            self.assertIn('is moved to rescue/', self.repaired(data, before))
            self.assertEqual(wanted, digest(self.on(data)))
        self.did('empty and of another program: both under rescue/, the digest is the old one')

    def test_a_segment_that_is_missing_in_front_of_the_newest_snapshot_costs_only_the_past(self):
        data, wanted = self.filled((450, 60))
        old = harness.log_segments(data)[:3]
        os.remove(old[1])
        code, out, err = harness.run([harness.CHECK, data])
        self.assertEqual(1, code, out + err)
        self.assertIn('the file is missing', out)
        node = self.on(data)
        self.assertEqual(wanted, digest(node))
        self.assertIn(os.path.basename(old[1]) + ' is in MANIFEST, but the file is missing', node.log())
        with node.connect() as c:
            info = c.cmd('INFO', 'persistence').decode()
        self.assertIn('log_begin_offset:%d\r' % int(os.path.basename(old[2])[4:24]), info)
        code, out, err = harness.run([harness.CLI, '-p', str(node.port), 'backup', os.path.join(node.folder, 'backup')])
        self.assertEqual(0, code, out + err)
        self.assertEqual(0, node.stop())
        self.assertTrue(any(os.path.basename(old[0]) in n for n in os.listdir(os.path.join(data, 'rescue'))))
        code, out, err = harness.run([harness.CHECK, data])
        self.assertEqual(0, code, out + err)
        self.did('said by the check and at the start; a backup works, the segment before the gap is under rescue/')

    def test_a_snapshot_that_is_missing_is_told(self):
        data, wanted = self.filled()
        for name in os.listdir(data):
            if name.startswith('snapshot-'):
                os.remove(os.path.join(data, name))
        code, out, err = harness.run([harness.CHECK, data])
        self.assertEqual(0, code, out + err)
        self.assertIn('the file is missing', out)
        self.assertEqual(wanted, digest(self.on(data)))
        self.did('the log reaches back to the beginning: sound, but said')

    def test_listing_a_damaged_log_says_so(self):
        data, _ = self.filled((60,))
        path = harness.log_segments(data)[-1]
        self.flip(path, os.path.getsize(path) // 2)
        code, out, err = harness.run([harness.CHECK, '--list', data])
        self.assertEqual(1, code, err)
        self.assertIn('byte ', err)
        self.assertIn('SET', out)
        os.truncate(path, os.path.getsize(path) // 2)
        code, out, err = harness.run([harness.CHECK, '--list', data])
        self.assertEqual(0, code, 'a torn end is no damage: ' + err)
        for path in (harness.temp_dir(), '/nowhere/at/all'):
            self.assertEqual(2, harness.run([harness.CHECK, '--list', path])[0])
        self.did('1 and the byte for damage in the last segment, 0 for a torn end, 2 where there is no log')

    def test_a_folder_that_is_none_is_left_alone(self):
        folder = harness.temp_dir()
        code, out, err = harness.run([harness.CHECK, '--repair', folder])
        self.assertEqual(2, code, out + err)
        self.assertEqual([], os.listdir(folder))
        code, out, err = harness.run([harness.CHECK, '--repair', folder + '/nowhere'])
        self.assertEqual(2, code, out + err)
        self.assertFalse(os.path.exists(folder + '/nowhere'))
        self.did('exit code 2, nothing made')


if __name__ == '__main__':
    harness.main()
