#!/usr/bin/python3
"""Writes that several members hold before they are acknowledged, and the primary's role given away under
load."""
import os, threading, time

import harness
from following import ReplicationCase, info as section
from harness import ReplyError, wait_until

LONG = '--long' in os.sys.argv


def info(server):
    with server.connect() as c:
        return section(c)


class QuorumTest(ReplicationCase):
    def trio(self, **flags):
        primary = self.primary({'write-concern': 'quorum', **flags})
        replicas = [self.replica(primary), self.replica(primary)]
        for replica in replicas:
            self.linked(replica)
        return primary, replicas

    def test_an_acknowledged_write_is_on_two_members_and_survives_the_first(self):
        primary, replicas = self.trio()
        c = self.connect(primary)
        for i in range(300):
            self.assertEqual('OK', c.cmd('SET', f'k{i}', i))
        self.assertEqual('quorum', info(primary)['write_concern'])
        primary.kill()
        best = max(replicas, key=lambda r: int(info(r)['replica_received_offset']))
        d = self.connect(best)
        self.assertEqual('OK', d.cmd('REPLICAOF', 'NO', 'ONE'))
        self.assertEqual([str(i).encode() for i in range(300)],
                         d.pipe([('GET', f'k{i}') for i in range(300)]))
        self.did('300 acknowledged, the primary killed, the replica with more promoted: all there')

    def test_without_members_writes_are_refused_and_what_is_in_doubt_gets_no_answer(self):
        primary, replicas = self.trio(**{'commit-timeout-ms': '1500'})
        c = self.connect(primary)
        self.assertEqual('OK', c.cmd('SET', 'safe', 1))
        for replica in replicas:
            replica.process.send_signal(19)
        try:
            with self.assertRaises((ConnectionError, OSError)):
                c.cmd('SET', 'doubt', 1)
            d = self.connect(primary)
            wait_until('writes to be refused',
                       lambda: str(d.pipe([('SET', 'x', 1)])[0]).startswith('NOQUORUM'))
            self.assertEqual(b'1', d.cmd('GET', 'safe'))
            e = self.connect(primary)
            with self.assertRaises((ConnectionError, OSError)):
                e.cmd('GET', 'doubt')  # it would show what may never be
            # What was not run shows nothing: it is refused, or queued, whatever its key.
            self.assertError('NOQUORUM', d.pipe([('SET', 'doubt', 2)])[0])
            self.assertEqual(['OK', 'QUEUED'], d.pipe([('MULTI',), ('GET', 'doubt')]))
        finally:
            for replica in replicas:
                replica.process.send_signal(18)
        d = self.connect(primary)
        wait_until('writes to be taken again', lambda: d.pipe([('SET', 'x', 1)])[0] == 'OK')
        log = primary.log()
        self.assertLess(log.rindex('Writes are refused from now on: NOQUORUM'),
                        log.rindex('Writes are taken again: '))
        self.assertEqual(b'1', d.cmd('GET', 'doubt'))
        for replica in replicas:
            self.same(primary, replica)
        self.did('NOQUORUM, two connections closed in doubt, healed by itself')

    def test_a_connection_may_ask_for_more_never_for_less(self):
        primary = self.primary()
        c = self.connect(primary)
        replica = self.replica(primary)
        self.linked(replica)
        self.assertEqual('OK', c.cmd('CLIENT', 'WRITE-CONCERN', 2))
        before, begun = int(section(c, 'persistence')['log_end_offset']), time.time()
        self.assertEqual('OK', c.cmd('SET', 'a', 1))
        took = time.time() - begun
        # when the reply is here, not a second later
        self.assertGreater(int(info(replica)['replica_synced_offset']), before)
        self.assertEqual([1, 1], c.cmd('WAITAOF', 0, 1, 1000))
        c.cmd('CONFIG', 'SET', 'write-concern', 'quorum')
        self.assertError('ERR the server asks for 2 copies', c.pipe([('CLIENT', 'WRITE-CONCERN', 1)])[0])
        self.did(f'2 copies on one connection, no fewer than the server asks; the first took '
                 f'{1000 * took:.1f} ms')

    def test_the_role_changes_hands_under_load(self):
        nodes = [self.primary()]
        nodes += [self.replica(nodes[0]), self.replica(nodes[0])]
        for replica in nodes[1:]:
            self.linked(replica)
        by_port = {node.port: node for node in nodes}
        at = [nodes[0].port]
        stop, written, failures = threading.Event(), {}, []

        def client(number):
            i, conn, port = 0, None, 0
            while not stop.is_set():
                try:
                    if conn is None or port != at[0]:
                        port = at[0]
                        conn = self.connect(by_port[port])
                    answer = conn.pipe([('SET', f'c{number}:{i}', i)])[0]
                    if answer == 'OK':
                        written[f'c{number}:{i}'] = str(i).encode()
                        i += 1
                    elif not str(answer).startswith(('READONLY', 'LOADING')):
                        failures.append(str(answer))
                        return
                    else:
                        time.sleep(0.001)
                except (ConnectionError, OSError):
                    conn = None
                    time.sleep(0.001)

        threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        pauses = []
        for _ in range(100 if LONG else 10):
            old = by_port[at[0]]
            wait_until('a replica to be there', lambda: int(info(old)['connected_slaves']) >= 1)
            done = int(info(old).get('failovers_done', 0))
            self.assertEqual('OK', self.connect(old).cmd('FAILOVER', 'TIMEOUT', 5000))
            wait_until('the role to change', lambda: int(info(old).get('failovers_done', 0)) > done)
            pauses.append(int(info(old)['failover_last_pause_us']) / 1000)
            at[0] = int(info(old)['master_port'])
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual([], failures)
        last = by_port[at[0]]
        c = self.connect(last)
        names = list(written)
        self.assertEqual([written[n] for n in names], c.pipe([('GET', n) for n in names]))
        for node in nodes:
            if node is not last:
                self.same(last, node)
        pauses.sort()
        self.did('%d switchovers, %d writes acknowledged, none lost; pauses median %.1f ms, max %.1f ms'
                 % (len(pauses), len(names), pauses[len(pauses) // 2], pauses[-1]))

    def test_a_switchover_to_one_that_can_not_follow_is_undone(self):
        primary = self.primary()
        replica = self.replica(primary)
        self.linked(replica)
        c = self.connect(primary)
        replica.process.send_signal(19)
        try:
            self.assertEqual('OK', c.cmd('SET', 'a', 1))
            self.assertEqual('OK', c.cmd('FAILOVER', 'TIMEOUT', 300))
            begun = time.time()
            self.assertEqual('OK', c.cmd('SET', 'b', 2))  # held, then taken here
            self.assertGreater(time.time() - begun, 0.2)
            self.assertIn('did not catch up', info(primary)['failover_last_error'])
            self.assertEqual('OK', c.cmd('FAILOVER'))
            self.assertEqual('OK', c.cmd('FAILOVER', 'ABORT'))
            self.assertEqual('OK', c.cmd('SET', 'c', 3))
        finally:
            replica.process.send_signal(18)
        self.same(primary, replica)
        self.assertError('ERR FAILOVER target HOST', c.pipe([('FAILOVER', 'TO', '127.0.0.1', 1)])[0])
        self.did('given up by time and by hand; writes went on at the old primary')


if __name__ == '__main__':
    harness.main()
