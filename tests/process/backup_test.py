#!/usr/bin/python3
"""Backups that the server makes while it serves: by holdfast-cli backup and by the schedule. What comes back
from the copy must have the digest of the moment it was asked for."""
import glob, json, os, random, shutil, subprocess, threading, time

import harness


def fields(server):
    with server.connect() as c:
        text = c.cmd('INFO', 'persistence').decode()
    return dict(line.split(':', 1) for line in text.split('\r\n') if ':' in line)


class BackupTest(harness.Case):
    FLAGS = {'enable-debug-command': 'yes', 'log-segment-bytes': '256kb'}

    def on(self, folder):
        """A server on an existing data folder."""
        server = harness.Server(self.FLAGS)
        server.flags['dir'] = folder
        self.addCleanup(server.drop)
        return server.start()

    def digest(self, server):
        with server.connect() as c:
            return c.cmd('DEBUG', 'DIGEST')

    def write(self, conn, rounds, seed):
        rng = random.Random(seed)
        for _ in range(rounds):
            key = 'k%d' % rng.randrange(300)
            conn.pipe([('SET', key, 'v' * rng.randrange(600)), ('HSET', 'h', key, rng.random()),
                       ('INCR', 'n'), ('TASK.SUBMIT', 't%d' % rng.randrange(5000))])

    def load(self, node):
        """Writes until the returned function is called."""
        stop, failures = threading.Event(), []

        def work():
            try:
                with node.connect() as c:
                    seed = 0
                    while not stop.is_set():
                        seed += 1
                        self.write(c, 5, seed)
                        time.sleep(0.02)
            except Exception as e:
                failures.append(e)

        thread = threading.Thread(target=work)
        thread.start()

        def end():
            stop.set()
            thread.join()
            self.assertEqual([], failures)
        return end

    def backup(self, node, folder, *more):
        return harness.run([harness.CLI, '-p', str(node.port), 'backup', *more, folder], seconds=60)

    def test_full_then_incremental_while_it_is_written_to(self):
        node = self.server(self.FLAGS)
        self.write(self.connect(node), 6000, 1)
        folder = os.path.join(node.folder, 'backup')
        end = self.load(node)
        try:
            code, out, err = self.backup(node, folder, '--json')
            self.assertEqual(0, code, out + err)
            first = json.loads(out)
            self.assertTrue(first['verified'])
            time.sleep(0.3)
            code, out, err = self.backup(node, folder, '--json')
            self.assertEqual(0, code, out + err)
            second = json.loads(out)
        finally:
            end()
        self.assertGreater(second['offset'], first['offset'])
        self.assertGreaterEqual(second['log-end'], second['offset'])
        self.assertNotEqual(second['digest'], first['digest'])
        self.assertLess(second['bytes-done'], first['bytes-done'])
        self.assertNotIn('BACKUP-TOKEN', os.listdir(folder))
        self.assertEqual(0, harness.run([harness.CHECK, folder])[0])
        code, out, err = self.backup(node, folder)
        self.assertEqual(0, code, out + err)
        self.assertIn('Verified: digest', out)
        wanted = self.digest(node)
        shown = fields(node)
        self.assertEqual('ok', shown['backup_last_status'])
        self.assertLess(time.time() - int(shown['backup_last_time']), 60)
        self.assertIn('Backup into ' + folder, node.log())
        into = os.path.join(node.folder, 'restored')
        code, out, err = harness.run([harness.SERVER, '--dir', folder, '--restore-to', str(first['offset']),
                                      '--into', into])
        self.assertEqual(0, code, out + err)
        self.assertEqual(first['digest'], self.digest(self.on(into)).strip())
        self.assertEqual(wanted, self.digest(self.on(folder)))
        self.did('three backups under load, %d and then %d bytes; each verified, one restored' %
                 (first['bytes-done'], second['bytes-done']))

    def test_kill_9_in_the_middle(self):
        node = self.server(self.FLAGS)
        self.write(self.connect(node), 4000, 2)
        self.connect(node).cmd('SET', 'large', 'x' * 40_000_000)
        folder = os.path.join(node.folder, 'backup')
        os.mkdir(folder)
        unfinished = 0
        for attempt in range(6):
            client = subprocess.Popen([harness.CLI, '-p', str(node.port), 'backup', folder],
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            harness.wait_until('the copy to begin', lambda: glob.glob(folder + '/log-*'), pause=0.001)
            time.sleep(0.004 * attempt)
            node.kill()
            said = client.communicate(timeout=60)[0]
            if client.returncode == 0:
                node.start()
                continue
            self.assertEqual(69, client.returncode, said)
            if not os.path.exists(os.path.join(folder, 'BACKUP')):
                unfinished += 1
                code, out, err = harness.run([harness.SERVER, '--verify-backup', folder])
                self.assertEqual(2, code, out + err)
                self.assertIn('no backup into this folder was finished', err)
            if os.path.exists(os.path.join(folder, 'MANIFEST')):
                copy = folder + '-%d' % attempt
                shutil.copytree(folder, copy)
                # a first backup: refused, with what to do
                if os.path.exists(os.path.join(copy, 'INCOMPLETE')):
                    code, out, err = harness.run([harness.SERVER, '--port', '0', '--unixsocket',
                                                  copy + '.sock', '--dir', copy])
                    self.assertEqual(1, code, out + err)
                    self.assertIn('was not finished', out + err)
                else:
                    self.on(copy).stop()
            node.start()
        code, out, err = self.backup(node, folder)
        self.assertEqual(0, code, out + err)
        self.assertEqual(self.digest(node), self.digest(self.on(folder)))
        self.did('%d backups cut short, each folder started or said that it is not finished; then one that '
                 'goes on and is verified' % unfinished)

    def test_a_snapshot_that_is_taken_again_while_it_is_copied(self):
        node = self.server({**self.FLAGS, 'log-segment-bytes': '64mb'})
        c = self.connect(node)
        for i in range(300):
            c.pipe([('SET', 'k%d' % (i * 100 + j), os.urandom(1000)) for j in range(100)])
        c.cmd('SAVE')
        folder = os.path.join(node.folder, 'backup')
        taken = 0
        for i in range(8):
            shutil.rmtree(folder, True)
            done = []
            thread = threading.Thread(target=lambda: done.append(self.backup(node, folder, '--no-verify')))
            thread.start()
            while thread.is_alive():  # nothing has changed: the file takes the place of one of the same offset
                taken += 1
                answer = c.pipe([('BGREWRITEAOF',) if taken % 2 else ('BGSAVE',)])[0]
                taken -= isinstance(answer, harness.ReplyError)
                time.sleep(0.02)
            thread.join()
            self.assertEqual(0, done[0][0], done[0])
            code, out, err = harness.run([harness.CHECK, folder])
            self.assertEqual(0, code, out + err)
            c.cmd('INCR', 'n')
        self.did('8 backups beside %d snapshots, each sound' % taken)

    def test_refusals_have_their_exit_codes(self):
        node = self.server(self.FLAGS)
        self.write(self.connect(node), 20, 3)
        inside = os.path.join(node.folder, 'notes')
        os.mkdir(inside)
        with open(os.path.join(inside, 'mine'), 'w') as f:
            f.write('mine')
        code, out, err = self.backup(node, inside)
        self.assertEqual(1, code, out + err)
        self.assertIn('neither empty nor a backup', err)
        self.assertEqual(['mine'], [n for n in os.listdir(inside) if n != 'LOCK'])
        code, out, err = self.backup(node, node.data)
        self.assertEqual(1, code, out + err)
        self.assertIn("can't be its own backup", err)
        self.assertEqual(2, harness.run([harness.CLI, 'backup', '--frob', 'x'])[0])
        self.assertEqual(69, harness.run([harness.CLI, '-p', str(harness.free_port()), 'backup', inside])[0])
        c = self.connect(node)
        elsewhere = os.path.join(node.folder, 'elsewhere')
        os.mkdir(elsewhere)
        c.cmd('BACKUP', 'START', 'INTO', elsewhere, 'TOKEN', 'guess')
        harness.wait_until('the refusal', lambda: b'failed' in c.cmd('BACKUP', 'STATUS'))
        self.assertEqual([], os.listdir(elsewhere))
        self.did('a foreign folder, its own, a wrong word, no server, a token that is not there')

    def test_a_backup_that_changed_is_found_out(self):
        node = self.server(self.FLAGS)
        self.write(self.connect(node), 50, 4)
        folder = os.path.join(node.folder, 'backup')
        self.assertEqual(0, self.backup(node, folder)[0])
        path = harness.log_segments(folder)[0]
        with open(path, 'r+b') as f:
            f.seek(os.path.getsize(path) // 2)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 1]))
        code, out, err = harness.run([harness.SERVER, '--verify-backup', folder])
        self.assertEqual(1, code, out + err)
        self.did('one flipped bit')

    def test_scheduled_backups_and_retention(self):
        root = os.path.join(harness.temp_dir(), 'scheduled')
        node = self.server(
            {**self.FLAGS, 'backup-dir': root, 'backup-incremental-every': '1', 'backup-keep': '2'})
        end = self.load(node)
        try:
            harness.wait_until('the first', lambda: glob.glob(root + '/full-*/BACKUP'), seconds=20)
            name = os.listdir(root)[0]
            before = fields(node)['backup_last_time']
            harness.wait_until('an incremental one', lambda: fields(node)['backup_last_time'] > before,
                               seconds=20)
            self.assertEqual([name], os.listdir(root))
            c = self.connect(node)
            for _ in range(3):
                time.sleep(1.1)
                harness.wait_until('a turn for a full one',
                                   lambda: not str(c.cmd('BACKUP', 'START', 'FULL')).startswith('BUSY'),
                                   pause=0.05)
                harness.wait_until('its end', lambda: fields(node)['backup_in_progress'] == '0', seconds=20)
            harness.wait_until('retention', lambda: len(os.listdir(root)) == 2, seconds=20)
        finally:
            end()
        self.assertNotIn(name, os.listdir(root))
        self.assertIn('Removing the backup', node.log())
        self.assertEqual(0, node.stop())
        for kept in os.listdir(root):
            code, out, err = harness.run([harness.SERVER, '--verify-backup', os.path.join(root, kept)])
            self.assertEqual(0, code, out + err)
        node.start()
        harness.wait_until('what is there to be found', lambda: fields(node)['backups_kept'] == '2',
                           seconds=20)
        self.did('full, incremental, three more full ones, two kept; both verified')

    def test_a_schedule_that_fails_hurts_nobody(self):
        root = os.path.join(harness.temp_dir(), 'missing', 'scheduled')
        node = self.server({**self.FLAGS, 'backup-dir': root})
        c = self.connect(node)
        harness.wait_until('the failure', lambda: "can't make the folder" in node.log(), seconds=20)
        self.assertEqual('OK', str(c.cmd('SET', 'a', '1')))
        self.did('said in the log; writes go on')


if __name__ == '__main__':
    harness.main()
