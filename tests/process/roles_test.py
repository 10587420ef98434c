#!/usr/bin/python3
"""Servers whose roles change: promoted, re-pointed, in a chain, in a circle, wiped; what parts is kept, what
is told heals."""
import os, re, shutil, threading, time

import harness
from following import ReplicationCase, fill, info, stat, state
from harness import ReplyError, wait_until


class Writer:
    """Writes to a server until it is refused."""
    def __init__(self, server):
        self.conn, self.why = server.connect(), ''
        self.conn.cmd('SET', 'busy:0', 1)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            for i in range(1_000_000):
                self.conn.cmd('SET', f'busy:{i}', i)
        except (ReplyError, OSError) as e:
            self.why = str(e)

    def end(self):
        self.thread.join(20)
        return self.why


class RolesTest(ReplicationCase):
    def test_a_tail_that_is_a_whole_segment_is_kept_and_the_log_says_where(self):
        primary = self.primary()
        c = self.connect(primary)
        fill(c, 100)
        replica = self.replica(primary)
        self.same(primary, replica)
        replica.kill()
        wait_until('the primary says so',
                   lambda: f'(port {replica.port}): its link has ended; it had acknowledged offset'
                   in primary.log())
        replica.flags.pop('replicaof')
        replica.start()  # with a reign of its own, and a segment of its own behind what it mirrored
        d = self.connect(replica)
        d.cmd('SET', 'lost', 1)
        d.cmd('REPLICAOF', '127.0.0.1', primary.port)
        self.same(primary, replica)
        kept = os.listdir(replica.data + '/rescue')
        self.assertEqual(1, len(kept))
        self.assertIn('kept as rescue/' + kept[0], replica.log())
        self.assertIn('lost', harness.run([harness.CHECK, '--list', f'{replica.data}/rescue/{kept[0]}'])[1])
        self.did(f'kept as rescue/{kept[0]}')

    def test_a_promoted_replica_takes_over_and_the_old_primary_comes_back_with_its_tail_cut(self):
        primary = self.primary()
        c = self.connect(primary)
        fill(c, 400)
        one, two = self.replica(primary), self.replica(primary)
        self.same(primary, one, two)
        for r in (one, two):
            r.kill()
        fill(c, 50, name='lost')
        primary.kill()
        for r in (one, two):
            r.start()
        d = self.connect(one)
        self.assertEqual(['OK', 'OK'], d.pipe([('REPLICAOF', 'NO', 'ONE'), ('SET', 'after', 1)]))
        self.connect(two).cmd('REPLICAOF', '127.0.0.1', one.port)
        self.same(one, two)
        primary.flags['replicaof'] = f'127.0.0.1 {one.port}'
        primary.start()
        self.same(one, primary)
        self.assertEqual('0', stat(one, 'sync_full'))
        self.assertIn('rescue/', primary.log())
        self.assertEqual([0, b'1'], self.connect(primary).pipe([('EXISTS', 'lost:3'), ('GET', 'after')]))
        rescued = [n for n in os.listdir(primary.data + '/rescue') if n.endswith('.aof')]
        self.assertEqual(1, len(rescued))
        path = os.path.join(primary.data, 'rescue', rescued[0])
        self.assertIn('sound', self.check(path))
        out = harness.run([harness.CHECK, '--list', path])[1]
        self.assertIn('lost:49', out)
        self.end_sound(one, two, primary)
        self.did(f'NO ONE and a write at once; re-pointed without full sync; tail kept as '
                 f'rescue/{rescued[0]}')

    def test_a_chain_of_three_follows_through_a_restart_in_the_middle(self):
        primary = self.primary()
        middle = self.replica(primary)
        last = self.replica(middle)
        c = self.connect(primary)
        fill(c, 200)
        self.same(primary, middle, last)
        middle.kill()
        fill(c, 200, name='more')
        middle.start()
        self.same(primary, middle, last)
        self.assertEqual([1, 0], [self.full_syncs(primary), self.full_syncs(middle)])
        self.did('one full sync each, partial behind the restart')

    def test_circles_are_noticed(self):
        one, two, three = self.primary(), self.primary(), self.primary()
        c = self.connect(one)
        fill(c, 20)
        answer = c.pipe([('REPLICAOF', '127.0.0.1', one.port)])[0]
        time.sleep(0.3)
        self.assertTrue(isinstance(answer, ReplyError) or self.last_error(one),
                        f'itself: {answer}, {info(c)}')
        c.cmd('REPLICAOF', 'NO', 'ONE')
        c.cmd('SET', 'a', 1)
        for a, b in ((one, two), (two, three), (three, one)):
            self.connect(a).cmd('REPLICAOF', '127.0.0.1', b.port)
        time.sleep(1.0)
        errors = [self.last_error(s) for s in (one, two, three)]
        self.assertTrue(any(errors), f'{errors} {[state(s) for s in (one, two, three)]}')
        self.connect(three).cmd('REPLICAOF', 'NO', 'ONE')
        self.connect(three).cmd('SET', 'b', 1)
        self.same(three, two, one)
        self.did(f'itself: {answer}; a circle: {max(errors, key=len)}; one NO ONE heals it')

    def test_two_primaries_told_to_follow_each_other_say_so_and_heal_by_one_word(self):
        for strangers in (False, True):
            for chosen_at in (0, 1):
                one, two = self.primary(), self.primary()
                if not strangers:  # one history up to here, two behind it
                    fill(self.connect(one), 50, name='common')
                    self.connect(two).cmd('REPLICAOF', '127.0.0.1', one.port)
                    self.same(one, two)
                    self.connect(two).cmd('REPLICAOF', 'NO', 'ONE')
                fill(self.connect(one), 100, name='one')
                fill(self.connect(two), 100, name='two')
                writers = [Writer(s) for s in (one, two)]
                self.connect(one).cmd('REPLICAOF', '127.0.0.1', two.port)
                self.connect(two).cmd('REPLICAOF', '127.0.0.1', one.port)
                for server in (one, two):
                    self.error_says(server, 'follow each other')
                for writer in writers:
                    self.assertIn('READONLY', writer.end())
                pair = ((one, 'one'), (two, 'two'))
                chosen, other = pair[chosen_at], pair[1 - chosen_at]
                c = self.connect(chosen[0])
                self.assertEqual('OK', c.cmd('REPLICAOF', 'NO', 'ONE'))
                c.cmd('SET', 'after', 1)
                self.same(chosen[0], other[0])
                d = self.connect(other[0])
                asked = (chosen[1] + ':99', other[1] + ':99', 'after')
                self.assertEqual([1, 0, 1], d.pipe([('EXISTS', key) for key in asked]))
                told = info(d)
                self.assertGreaterEqual(int(told['rescued_tails']), 1)
                self.assertIn(told['rescued_last'], other[0].log())
                self.assertNotIn('rescued_tails', info(c))
                rescued = [n for n in os.listdir(other[0].data + '/rescue') if n.endswith('.aof')]
                listed = ''
                for name in rescued:
                    path = os.path.join(other[0].data, 'rescue', name)
                    self.assertIn('sound', self.check(path))
                    listed += harness.run([harness.CHECK, '--list', path])[1]
                self.assertIn(other[1] + ':99', listed)
                self.assertIn('busy:0', listed)
                self.end_sound(one, two)
        self.did('strangers and relatives, either chosen: both say so, both hold the chosen one\'s, '
                 'the other\'s tail is listed')

    def test_a_wiped_primary_and_a_wiped_replica_start_again_from_a_snapshot(self):
        primary = self.primary()
        replica = self.replica(primary)
        fill(self.connect(primary), 100)
        self.same(primary, replica)
        replica.kill()
        shutil.rmtree(replica.data)
        replica.start()
        self.same(primary, replica)
        self.assertEqual(2, self.full_syncs(primary))
        primary.kill()
        shutil.rmtree(primary.data)
        primary.start()
        fill(self.connect(primary), 10, name='new')
        self.same(primary, replica)
        self.assertEqual(10, self.connect(replica).cmd('DBSIZE'))
        self.assertIn('another cluster', primary.log())
        self.did('each in full, and says why')


if __name__ == '__main__':
    harness.main()
