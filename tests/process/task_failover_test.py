#!/usr/bin/python3
"""A worker's lease outlives its primary: re-armed on the promoted replica, and tokens rise from reign to
reign, also when the old primary's last ones were never replicated."""
import time

import harness
from following import ReplicationCase
from harness import wait_until


def record(reply):
    return dict(zip(reply[::2], reply[1::2]))


class TaskFailoverTest(ReplicationCase):
    def claim(self, c, worker):
        return record(c.cmd('TASK.CLAIM', 1, 'q', 'WORKER', worker, 'LEASE', 1500)[0])

    def test_a_lease_lives_on_after_promotion_and_is_counted_anew(self):
        primary = self.primary()
        replica = self.replica(primary)
        self.linked(replica)
        c = self.connect(primary)
        c.cmd('TASK.SUBMIT', 'job', 'QUEUE', 'q', 'RETRIES', 3, 'BACKOFF', 'NONE', 0, 0)
        held = self.claim(c, 'w1')
        c.cmd('TASK.CHECKPOINT', held[b'run'], held[b'token'], 7, 'state')
        self.same(primary, replica)
        primary.kill()
        d = self.connect(replica)
        time.sleep(1.6)  # past the lease: a replica takes nothing away by its own clock
        self.assertEqual(b'RUNNING', record(d.cmd('TASK.GET', 'job'))[b'state'])
        self.assertEqual('OK', d.cmd('REPLICAOF', 'NO', 'ONE'))
        self.assertEqual('OK', d.cmd('TASK.BEAT', held[b'run'], held[b'token']))
        time.sleep(1.0)
        self.assertEqual('OK', d.cmd('TASK.BEAT', held[b'run'], held[b'token']))
        # Nobody beats any more: it goes to the next worker, with a higher token and the checkpoint.
        wait_until('the lease is lost', lambda: record(d.cmd('TASK.GET', 'job'))[b'state'] != b'RUNNING')
        again = record(d.cmd('TASK.CLAIM', 1, 'q', 'WORKER', 'w2', 'BLOCK', 5000)[0])
        self.assertGreater(int(again[b'token']), int(held[b'token']))
        self.assertEqual(int(again[b'token']) >> 44, (int(held[b'token']) >> 44) + 1)
        self.assertError('FENCED', d.pipe([('TASK.BEAT', held[b'run'], held[b'token'])])[0])
        self.assertEqual('OK', d.cmd('TASK.DONE', again[b'run'], again[b'token']))
        self.did('re-armed at promotion, kept by beats, lost without, fenced by the next reign\'s token')

    def test_tokens_of_a_lost_tail_are_never_given_again(self):
        primary = self.primary()
        replica = self.replica(primary)
        self.linked(replica)
        c = self.connect(primary)
        for i in range(4):
            c.cmd('TASK.SUBMIT', f'job{i}', 'QUEUE', 'q')
        first = self.claim(c, 'w')
        self.same(primary, replica)
        self.assertEqual(1, c.cmd('WAITAOF', 0, 1, 10_000)[1])  # on its disk, not only in its memory
        replica.kill()
        lost = [self.claim(c, 'w') for _ in range(2)]  # nobody else hears of these
        primary.kill()
        replica.start()
        d = self.connect(replica)
        self.assertEqual('OK', d.cmd('REPLICAOF', 'NO', 'ONE'))
        tokens = [int(self.claim(d, 'v')[b'token']) for _ in range(3)]
        self.assertGreater(min(tokens), max(int(r[b'token']) for r in [first] + lost))
        primary.start()
        back = self.connect(primary)
        self.assertEqual('OK', back.cmd('REPLICAOF', '127.0.0.1', replica.port))
        self.same(replica, primary)
        self.assertEqual(0, self.full_syncs(replica))
        self.did('two leases lost with the old primary, three given after it: all tokens higher; it came '
                 'back without them')


if __name__ == '__main__':
    harness.main()
