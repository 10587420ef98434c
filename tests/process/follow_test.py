#!/usr/bin/python3
"""holdfast-cli follow: a server is made a replica, its sync is shown, and the call ends when it has
everything."""
import json, os, pty, select, subprocess, threading, time

import harness
from following import Link, ReplicationCase, digest


class FollowTest(ReplicationCase):
    def follow(self, node, *words, seconds=60):
        return harness.run([harness.CLI, '-p', str(node.port), 'follow', *words], seconds=seconds)

    def filled(self, n=20000, **flags):
        """A primary with `n` keys whose values no compression makes smaller."""
        node = self.primary(flags)
        with node.connect() as c:
            for at in range(0, n, 1000):
                c.pipe([('SET', f'k{i}', os.urandom(100)) for i in range(at, at + 1000)])
        return node

    def test_a_full_sync_ends_with_the_replica_in_step(self):
        primary, replica = self.filled(), self.primary()
        code, out, err = self.follow(replica, '127.0.0.1', str(primary.port))
        self.assertEqual(0, code, out + err)
        self.assertRegex(out, rf'^In step with 127\.0\.0\.1:{primary.port} at offset \d+ after \S+')
        self.assertEqual(digest(primary), digest(replica))
        # Again, and without naming it: nothing is left to do.
        for words in ((), ('127.0.0.1', str(primary.port))):
            code, out, err = self.follow(replica, *words)
            self.assertEqual(0, code, out + err)
        self.assertEqual(1, self.full_syncs(primary))
        self.did('20,000 keys in full, then twice more for nothing')

    def test_a_slow_sync_is_shown_in_lines_and_as_json_on_a_pipe(self):
        primary = self.filled(**{'replication-max-bytes-per-second': '1mb'})
        replica = self.primary()
        code, out, err = self.follow(replica, '--json', '127.0.0.1', str(primary.port))
        self.assertEqual(0, code, out + err)
        shown = json.loads(out)
        self.assertEqual(f'127.0.0.1:{primary.port}', shown['primary'])
        self.assertGreater(shown['snapshot-bytes'], 2_000_000)
        self.assertGreater(shown['milliseconds'], 500)
        self.assertIn('holdfast: receiving the snapshot', err)
        self.assertRegex(err, r'\[#*-+\] \d+ % \d+/\d+ receiving the snapshot')
        self.assertNotIn('\x1b', err)
        code, out, err = self.follow(replica, '--quiet')
        self.assertEqual((0, '', ''), (code, out, err))
        self.did(f'{shown["snapshot-bytes"]:,} bytes in {shown["milliseconds"]} ms')

    def test_a_terminal_gets_a_bar_that_is_taken_away_again(self):
        primary = self.filled(**{'replication-max-bytes-per-second': '1mb'})
        replica = self.primary()
        near, far = pty.openpty()
        process = subprocess.Popen([harness.CLI, '-p', str(replica.port), 'follow', '127.0.0.1',
                                    str(primary.port)],
                                   stdout=subprocess.PIPE, stderr=far, preexec_fn=harness.die_with_parent)
        os.close(far)
        seen, end = b'', time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([near], [], [], 0.1)[0]:
                try:
                    piece = os.read(near, 4096)
                except OSError:
                    break  # nobody holds the other end any more
                if not piece:
                    break
                seen += piece
        os.close(near)
        out = process.communicate(timeout=10)[0].decode()
        self.assertEqual(0, process.returncode)
        self.assertRegex(seen.decode(), r'\r\x1b\[Kfollow \[#+-*\] \d+ % ')
        self.assertTrue(seen.endswith(b'\r\x1b[K'), seen[-40:])
        self.assertIn('In step with', out)
        self.did(f'{seen.count(b"%")} pictures of a bar')

    def test_the_primary_and_the_server_may_go_away_meanwhile(self):
        primary = self.filled(**{'replication-max-bytes-per-second': '1mb'})
        link = Link(primary.port)
        self.addCleanup(link.end)
        replica = self.primary()
        link.cut_at = 1_000_000
        code, out, err = self.follow(replica, '127.0.0.1', str(link.port))
        self.assertEqual(0, code, out + err)
        self.assertEqual(digest(primary), digest(replica))
        replica = self.primary()
        threading.Timer(0.7, replica.kill).start()
        code, out, err = self.follow(replica, '127.0.0.1', str(primary.port))
        self.assertEqual(69, code, out + err)
        self.assertIn('the sync goes on by itself', err)
        self.did('a link cut in the middle is waited out; kill -9 of the server ends the call')

    def test_what_can_not_be_is_said(self):
        primary = self.primary({'requirepass': 'secret'})
        replica = self.primary()
        code, out, err = self.follow(replica)
        self.assertEqual(1, code, out + err)
        self.assertIn('follows nobody', err)
        code, out, err = self.follow(replica, '--timeout', '1s', '127.0.0.1', str(primary.port))
        self.assertEqual(75, code, out + err)
        self.assertIn('masterauth', err)
        process = subprocess.Popen([harness.CLI, '-p', str(replica.port), 'follow'], stderr=subprocess.PIPE,
                                   preexec_fn=harness.die_with_parent)
        time.sleep(0.5)
        with replica.connect() as c:
            c.cmd('REPLICAOF', 'NO', 'ONE')
        self.assertIn(b'follows nobody any more', process.communicate(timeout=10)[1])
        self.assertEqual(75, process.returncode)
        for words in (('localhost',), ('h', '0'), ('h', 'x'), ('--frob',), ('--timeout',),
                      ('--timeout', 'soon')):
            self.assertEqual(2, self.follow(replica, *words)[0], words)
        self.assertEqual(69,
                         harness.run([harness.CLI, '-p', str(harness.free_port()), 'follow', 'h', '1'])[0])
        code, out, err = self.follow(replica, '--help')
        self.assertEqual(0, code)
        self.assertIn('Exit codes', out)
        self.did('no primary, a password that lacks, no log, promoted meanwhile, no server, command lines')


if __name__ == '__main__':
    harness.main()
