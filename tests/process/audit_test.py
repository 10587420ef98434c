#!/usr/bin/python3
"""Audits between real servers: a difference planted in a replica is found, named and healed; who agrees is
said to agree; and what happens to replicas of replicas, to a stock Redis and to an audit whose link is
cut."""
import os, shutil, time

import harness
from following import ReplicationCase, digest, fill, info, stat
from harness import ReplyError, wait_until


def pairs(flat):
    return dict(zip([k.decode() for k in flat[::2]], flat[1::2]))


def status(c):
    got = pairs(c.cmd('REPLICATION', 'AUDIT', 'STATUS'))
    got['replicas'] = [pairs(r) for r in got['replicas']]
    return got


class AuditTest(ReplicationCase):
    def audit(self, c, seconds=20):
        """Runs one to its end; its status."""
        offset = c.cmd('REPLICATION', 'AUDIT')
        over = lambda: (lambda s: s['state'] == b'idle' and s)(status(c))
        got = wait_until('the audit is over', over, seconds)
        self.assertEqual(offset, got['offset'])
        return got

    def trio(self):
        primary = self.primary()
        c = self.connect(primary)
        fill(c, 3000)
        c.pipe([('HSET', 'h', *[x for i in range(2000) for x in (f'f{i}', 'v' * 30)]),
                ('SET', 'big', os.urandom(3_000_000)),
                ('TASK.SUBMIT', 'job', 'QUEUE', 'q', 'PAYLOAD', 'p' * 5000), ('SELECT', 3),
                ('SET', 'three', 'v'), ('SELECT', 0)])
        replicas = [self.replica(primary), self.replica(primary)]
        self.same(primary, *replicas)
        return primary, c, replicas

    def test_a_planted_difference_is_found_named_and_healed(self):
        primary, c, (one, two) = self.trio()
        got = self.audit(c)
        self.assertEqual((b'agrees', [b'agrees', b'agrees']),
                         (got['result'], [r['finding'] for r in got['replicas']]))
        self.assertEqual(str(digest(primary)), got['digest'].decode())
        d = self.connect(one)
        d.cmd('SELECT', 3)
        self.assertEqual('OK', d.cmd('DEBUG', 'PLANT', 'three', 'another'))
        self.assertNotEqual(digest(primary), digest(one))
        answers = set()
        c.cmd('REPLICATION', 'AUDIT')
        def healed():
            answers.add(str(d.pipe([('GET', 'three')])[0])[:10])
            return 'is healed' in primary.log()
        wait_until('it is found and healed', healed, 20, pause=0.001)
        self.same(primary, one, two)
        self.assertEqual(b'v', d.cmd('GET', 'three'))
        self.assertLessEqual(answers, {"b'another'", 'MASTERDOWN', 'LOADING Ho', "b'v'"})
        got = status(c)
        bad = [r for r in got['replicas'] if r['finding'] != b'agrees']
        self.assertEqual((b'healed', 1, 3, 1),
                         (got['result'], len(bad), bad[0]['database'], bad[0]['slices']))
        self.assertEqual(one.port, bad[0]['port'])
        where = f"database 3, slice {bad[0]['slice']}"
        for server in (primary, one):
            self.assertIn(where, server.log())
        theirs = info(d)
        self.assertEqual(('1', '0'), (theirs['audit_divergences'], theirs['audit_distrusted']))
        self.assertIn(where, theirs['audit_last_divergence'])
        self.assertIn('audit=healed', info(c)['slave0'] + info(c)['slave1'])
        self.assertEqual(3, self.full_syncs(primary))  # two at first, one to heal
        self.assertEqual(b'agrees', self.audit(c)['result'])
        self.assertNotIn('differs', two.log())
        self.did(f'{where} named by both; answers meanwhile {sorted(answers)}; one full sync, equal digests, '
                 f'agrees again')

    def test_writes_go_on_through_many_audits_and_none_is_a_false_alarm(self):
        primary, c, replicas = self.trio()
        w = self.connect(primary)
        done = i = 0
        while done < 5:
            i += 1
            w.pipe([('SET', f'key:{(i * 97 + k) % 3500}', os.urandom(50)) for k in range(200)] +
                   [('INCR', 'n'), ('HSET', 'h', f'f{i}', os.urandom(9)), ('SET', 'brief', i, 'PX', 5),
                    ('DEL', f'key:{i}')] +
                   ([('FLUSHDB',)] if i == 40 else []))
            if not isinstance(c.pipe([('REPLICATION', 'AUDIT')])[0], ReplyError):
                done += 1
        self.assertGreater(i, 40)
        wait_until('the last is over', lambda: status(c)['state'] == b'idle')
        for server in [primary, *replicas]:
            self.assertNotIn('differs', server.log())
        self.assertEqual(b'agrees', self.audit(c)['result'])
        self.assertEqual(2, self.full_syncs(primary))
        self.did(f'{done} audits beside {200 * i} writes, deletes, expiry and FLUSHDB: all agree')

    def test_a_replica_of_a_replica_is_audited_by_the_log_it_gets_and_reports_to_whom_it_follows(self):
        primary = self.primary()
        c = self.connect(primary)
        fill(c, 500)
        middle = self.replica(primary)
        self.same(primary, middle)
        last = self.replica(middle)
        self.same(primary, last)
        m = self.connect(middle)
        self.assertError('ERR this node is a replica; ask its primary', m.pipe([('REPLICATION', 'AUDIT')])[0])
        self.audit(c)
        wait_until('the middle hears from the last',
                   lambda: [r['finding'] for r in status(m)['replicas']] == [b'agrees'])
        self.assertEqual([middle.port], [r['port'] for r in status(c)['replicas']])
        self.connect(last).cmd('DEBUG', 'PLANT', 'key:5', 'x')
        self.assertEqual(b'agrees', self.audit(c)['result'])
        wait_until('it is healed by the middle', lambda: 'is healed' in middle.log())
        self.same(primary, middle, last)
        self.did('found two links down, healed from the middle; the primary shows its own replica')

    def test_by_the_clock_and_not_where_there_is_nobody(self):
        primary = self.primary({'audit-interval': 1})
        c = self.connect(primary)
        self.assertError('ERR there is nobody to audit', c.pipe([('REPLICATION', 'AUDIT')])[0])
        fill(c, 100)
        replica = self.replica(primary)
        self.same(primary, replica)
        wait_until('two audits by the clock', lambda: primary.log().count('Audit at offset') >= 2, 15)
        self.assertEqual('agrees', info(c)['audit_last_result'])
        replica.stop()
        wait_until('it is gone', lambda: info(c)['connected_slaves'] == '0')
        end = info(c)['repl_backlog_histlen']
        time.sleep(2.5)
        self.assertEqual(end, info(c)['repl_backlog_histlen'])
        self.did('two in a row, agreeing; nothing logged without a replica')

    def test_a_promotion_ends_an_audit_and_the_new_primary_makes_its_own(self):
        primary, c, (one, two) = self.trio()
        c.cmd('REPLICATION', 'AUDIT')
        self.assertEqual('OK', c.cmd('FAILOVER', 'TO', '127.0.0.1', one.port))
        wait_until('the role has gone', lambda: stat(primary, 'role', 'replication') == 'slave')
        self.connect(two).cmd('REPLICAOF', '127.0.0.1', one.port)
        self.same(one, primary, two)
        got = self.audit(self.connect(one))
        self.assertEqual((b'agrees', 2), (got['result'], len(got['replicas'])))
        self.did('both former members agree with the new primary')

    def test_a_stock_redis_is_listed_and_not_audited(self):
        if not shutil.which('redis-server'):
            self.skipTest('no redis-server here')
        primary = self.primary()
        c = self.connect(primary)
        fill(c, 100)
        flags = {'dir': '.', 'bind': '127.0.0.1', 'save': '', 'appendonly': 'no',
                 'replicaof': ['127.0.0.1', primary.port]}
        redis = harness.Server(flags, program='redis-server', quiet_defaults=False)
        self.addCleanup(redis.drop)
        redis.start()
        wait_until('it is online', lambda: 'state=online' in info(c).get('slave0', ''))
        self.assertError('ERR there is nobody to audit', c.pipe([('REPLICATION', 'AUDIT')])[0])
        replica = self.replica(primary)
        self.same(primary, replica)
        got = self.audit(c)
        self.assertEqual([b'agrees', b'not-audited'], sorted(r['finding'] for r in got['replicas']))
        d = self.connect(redis)
        wait_until('its stream goes on',
                   lambda: d.cmd('DBSIZE') == 100 and c.pipe([('SET', 'a', 1), ('WAIT', 2, 5000)])[1] == 2)
        self.did('nobody to audit while it is alone, then listed as not-audited; its stream counts on')


if __name__ == '__main__':
    harness.main()
