#!/usr/bin/python3
"""A server that follows another: what it gets, what it says and refuses, alone and with others, and what INFO
says when it can't."""
import os, re, time

import harness
from following import ReplicationCase, fill, info, stat, state
from harness import ReplyError, wait_until


class FollowTest(ReplicationCase):
    def test_a_replica_gets_what_was_there_and_follows_writes_of_every_kind(self):
        primary = self.primary()
        c = self.connect(primary)
        fill(c, 500)
        c.cmd('TASK.SUBMIT', 'before', 'QUEUE', 'q', 'PAYLOAD', 'p')
        replica = self.replica(primary)
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        big = os.urandom(9_000_000)
        self.assertFalse([a for a in c.pipe([
            ('SET', 's', 'v'), ('APPEND', 's', 'w'), ('INCRBY', 'n', 7), ('HSET', 'h', 'f', 'v', 'g', 'w'),
            ('HDEL', 'h', 'f'), ('SET', 'gone', 1), ('DEL', 'gone'), ('RENAME', 's', 't'), ('COPY', 't', 'u'),
            ('SETRANGE', 'u', 3, 'zz'),
            ('PEXPIRE', 'n', 1_000_000), ('PERSIST', 'n'), ('MSET', 'a', 1, 'b', 2), ('SELECT', 3),
            ('SET', 'three', 'v'),
            ('MOVE', 'three', 4), ('SET', 'again', 'v'), ('SWAPDB', 3, 4), ('SELECT', 0), ('SET', 'big', big),
            ('MULTI',), ('SET', 'm1', 1), ('INCR', 'm1'), ('HSET', 'm2', 'f', 'x' * 70_000), ('EXEC',),
            ('TASK.SUBMIT', 'job', 'QUEUE', 'q', 'PAYLOAD', 'x' * 3000)]) if isinstance(a, ReplyError)])
        claim = c.cmd('TASK.CLAIM', 1, 'q', 'WORKER', 'w', 'REQ', 'r', 'LEASE', 60000)
        record = dict(zip(claim[0][::2], claim[0][1::2]))
        c.cmd('TASK.CHECKPOINT', record[b'run'], record[b'token'], 1, 'state')
        self.same(primary, replica)
        d = self.connect(replica)
        self.assertEqual(b'RUNNING', dict(zip(*[iter(d.cmd('TASK.GET', 'before'))] * 2))[b'state'])
        self.assertEqual(big, d.cmd('GET', 'big'))
        d.cmd('SELECT', 3)
        self.assertEqual(b'v', d.cmd('GET', 'three'))
        c.cmd('TASK.DONE', record[b'run'], record[b'token'])
        c.pipe([('SELECT', 4), ('FLUSHDB',), ('SELECT', 0)])
        self.same(primary, replica)
        c.cmd('FLUSHALL')
        self.same(primary, replica)
        self.assertEqual(0, self.connect(replica).cmd('DBSIZE'))
        fill(c, 300)
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        self.end_sound(primary, replica)
        self.did('strings, hashes, tasks, 9 MB values, MULTI, SWAPDB, FLUSHALL: equal digests, sound '
                 'folders, one full sync')

    def test_a_replica_reads_as_expired_and_deletes_on_the_primarys_record_only(self):
        primary = self.primary()
        replica = self.replica(primary)
        c, d = self.connect(primary), self.connect(replica)
        c.pipe([('SET', 'short', 'v', 'PX', 300), ('SET', 'long', 'v', 'PX', 600_000)])
        self.same(primary, replica)
        primary.process.send_signal(19)  # SIGSTOP: no record of the expiry can come
        time.sleep(0.5)
        self.assertEqual([None, 0, -2, 2],
                         d.pipe([('GET', 'short'), ('EXISTS', 'short'), ('PTTL', 'short'), ('DBSIZE',)]))
        primary.process.send_signal(18)
        wait_until('the primary deletes it', lambda: d.cmd('DBSIZE') == 1)
        self.same(primary, replica)
        self.assertEqual('0', stat(replica, 'expired_keys'))
        self.did('read as gone with the primary stopped, counted until its DEL came')

    def test_a_replica_says_what_redis_says(self):
        primary = self.primary()
        replica = self.replica(primary)
        self.linked(replica)
        c, d = self.connect(primary), self.connect(replica)
        for command in (('SET', 'a', 1), ('FLUSHALL',), ('TASK.SUBMIT', 't'), ('DEL', 'a')):
            self.assertError('READONLY', d.pipe([command])[0])
        self.assertError('READONLY', d.pipe([('MULTI',), ('SET', 'a', 1), ('EXEC',)])[1])
        self.assertError('ERR WAIT cannot be used with replica', d.pipe([('WAIT', 1, 10)])[0])
        c.cmd('SET', 'a', 1)
        self.same(primary, replica)
        offset = state(primary)[1]
        self.assertEqual([b'slave', b'127.0.0.1', primary.port, b'connected', offset], d.cmd('ROLE'))
        role = wait_until('the primary knows how far it is',
                          lambda: (lambda r: r[2][0][2] == b'%d' % offset and r)(c.cmd('ROLE')))
        self.assertEqual([b'127.0.0.1', b'%d' % replica.port], role[2][0][:2])
        ours, theirs = info(c), info(d)
        self.assertEqual(('master', '1', 'slave', 'up'), (ours['role'], ours['connected_slaves'],
                                                          theirs['role'], theirs['master_link_status']))
        self.assertEqual(ours['master_replid'], theirs['master_replid'])
        self.assertIn('state=online', ours['slave0'])
        self.assertEqual('OK Already connected to specified master',
                         d.cmd('REPLICAOF', '127.0.0.1', primary.port))
        self.did('READONLY, WAIT, ROLE, INFO, equal replids')

    def test_client_list_and_kill_know_replicas_and_primaries(self):
        primary = self.primary()
        replica = self.replica(primary)
        self.linked(replica)
        c, d = self.connect(primary), self.connect(replica)
        field = lambda text, name: re.search(rf'{name}=(\S*)', text.decode()).group(1)
        self.assertEqual('S', field(c.cmd('CLIENT', 'LIST', 'TYPE', 'replica'), 'flags'))
        self.assertEqual('M', field(d.cmd('CLIENT', 'LIST', 'TYPE', 'master'), 'flags'))
        self.assertEqual([b'', b''], [d.cmd('CLIENT', 'LIST', 'TYPE', 'replica'),
                                      c.cmd('CLIENT', 'LIST', 'TYPE', 'master')])
        self.assertNotIn(b'flags=S', c.cmd('CLIENT', 'LIST', 'TYPE', 'normal'))
        self.assertEqual(1, c.cmd('CLIENT', 'KILL', 'TYPE', 'replica'))
        wait_until('it comes again', lambda: stat(primary, 'sync_partial_ok') == '1')
        self.linked(replica)
        self.assertEqual(1, d.cmd('CLIENT', 'KILL', 'TYPE', 'master'))
        wait_until('it dials again', lambda: stat(primary, 'sync_partial_ok') == '2')
        c.cmd('SET', 'a', 1)
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        self.did('flags S and M, both ends killed once, partial each time')

    def test_wait_waitaof_and_min_replicas(self):
        primary = self.primary({'min-replicas-max-lag': 1})
        c = self.connect(primary)
        self.assertEqual(0, c.cmd('WAIT', 0, 0))
        since = time.monotonic()
        self.assertEqual(0, c.cmd('WAIT', 1, 100))
        self.assertGreater(time.monotonic() - since, 0.09)
        c.cmd('CONFIG', 'SET', 'min-replicas-to-write', 1)
        self.assertError('NOREPLICAS', c.pipe([('SET', 'a', 1)])[0])
        replica = self.replica(primary)
        wait_until('writes go on', lambda: not isinstance(c.pipe([('SET', 'a', 1)])[0], ReplyError))
        self.assertEqual(1, c.cmd('WAIT', 1, 5000))
        self.assertEqual([1, 1], c.cmd('WAITAOF', 1, 1, 5000))
        replica.process.send_signal(19)
        c.pipe([('CONFIG', 'SET', 'min-replicas-to-write', 0), ('SET', 'a', 2)])
        self.assertEqual(0, c.cmd('WAIT', 1, 100))
        self.assertEqual(0, c.cmd('WAITAOF', 0, 1, 100)[1])
        c.cmd('CONFIG', 'SET', 'min-replicas-to-write', 1)
        wait_until('a silent replica does not count',
                   lambda: isinstance(c.pipe([('SET', 'a', 3)])[0], ReplyError), 5)
        replica.process.send_signal(18)
        wait_until('writes go on', lambda: not isinstance(c.pipe([('SET', 'a', 4)])[0], ReplyError))
        self.same(primary, replica)
        self.did('counts in time, 0 while the replica is stopped, NOREPLICAS, heals')

    def test_stale_data_is_refused_when_asked_for(self):
        primary = self.primary()
        self.connect(primary).cmd('SET', 'a', 1)
        replica = self.replica(primary)
        self.same(primary, replica)
        d = self.connect(replica)
        primary.kill()
        wait_until('it notices', lambda: state(replica)[0] == 'down')
        self.assertEqual(b'1', d.cmd('GET', 'a'))
        d.cmd('CONFIG', 'SET', 'replica-serve-stale-data', 'no')
        self.assertError('MASTERDOWN', d.pipe([('GET', 'a')])[0])
        self.assertEqual('PONG', str(d.pipe([('PING',), ('INFO',)])[0]).replace('MASTERDOWN', 'PONG')[:4])
        primary.start()
        self.same(primary, replica)
        self.assertEqual(b'1', d.cmd('GET', 'a'))
        self.did('served by default, MASTERDOWN with no, served again once linked')

    def test_a_password_wrong_missing_and_right(self):
        primary = self.primary({'requirepass': 'secret'})
        replica = self.replica(primary)
        self.error_says(replica, 'set masterauth')
        d = self.connect(replica)
        d.cmd('CONFIG', 'SET', 'masterauth', 'wrong')
        self.error_says(replica, 'refused the password')
        d.cmd('CONFIG', 'SET', 'masterauth', 'secret')
        self.linked(replica)
        self.assertNotIn('master_link_last_error', info(d))
        self.did('each says what to do; CONFIG SET masterauth heals it')

    def test_without_a_log_of_its_own_a_server_follows_and_is_followed(self):
        flags = {'appendonly': 'no'}
        primary = self.primary(flags)
        with primary.connect() as c:
            c.pipe([('SET', f'k{i}', i) for i in range(5000)])
            replica = self.replica(primary, flags)
            late = self.primary(flags)
            with late.connect() as d:
                d.cmd('SET', 'of its own', 1)
                d.cmd('REPLICAOF', '127.0.0.1', primary.port)
            c.pipe([('INCR', f'n{i}') for i in range(5000)])
            self.same(primary, replica, late)
            self.assertEqual('1', stat(primary, 'aof_enabled', 'persistence'))
            c.cmd('INCR', 'n0')
            c.cmd('WAITAOF', 0, 2, 5000)  # what a replica has not written yet it fetches again
        replica.kill()
        with primary.connect() as c:
            c.pipe([('INCR', f'n{i}') for i in range(5000)])
        replica.start()
        self.same(primary, replica, late)
        self.assertEqual(2, self.full_syncs(primary), primary.log() + replica.log())
        primary.kill()
        primary.start()
        with primary.connect() as c:
            self.assertEqual(10000, c.cmd('DBSIZE'))
            c.cmd('SET', 'after', 1)
        self.same(primary, replica, late)
        with late.connect() as d:
            d.cmd('REPLICAOF', 'NO', 'ONE')
            d.cmd('SET', 'after', 2)
        self.did('a log begins with the first replica; partial after kill -9 of one, nothing lost by kill -9 '
                 'of the primary')

    def test_a_server_without_a_log_that_never_reached_its_primary_serves_on(self):
        server = self.primary({'appendonly': 'no'})
        with server.connect() as c:
            c.cmd('SET', 'k', 'v')
            c.cmd('REPLICAOF', '127.0.0.1', harness.free_port())
            self.assertEqual(b'v', c.cmd('GET', 'k'))
            with self.assertRaises(harness.ReplyError):
                c.cmd('SET', 'k', 'w')
            c.cmd('REPLICAOF', 'NO', 'ONE')
            c.cmd('SET', 'k', 'w')
            c.cmd('CONFIG', 'SET', 'appendonly', 'yes')
            harness.wait_until('the log is begun', lambda: stat(server, 'aof_enabled', 'persistence') == '1',
                               10)
            c.cmd('SET', 'k', 'x')
        server.kill()
        server.start()
        with server.connect() as c:
            self.assertEqual(b'x', c.cmd('GET', 'k'))

    def test_nobody_listens_and_someone_else_does(self):
        replica = self.replica(harness.free_port())
        self.error_says(replica, 'refused')
        primary = self.primary({'appendonly': 'no'})
        d = self.connect(replica)
        d.cmd('REPLICAOF', '127.0.0.1', primary.port)
        self.linked(replica)
        self.same(primary, replica)
        full = self.primary({'maxclients': 1})
        holder = self.connect(full)
        holder.cmd('PING')
        d.cmd('REPLICAOF', '127.0.0.1', full.port)
        self.error_says(replica, 'max number of clients')
        holder.cmd('CONFIG', 'SET', 'maxclients', 100)
        self.same(full, replica)
        self.did('refused, no log, no room: each in INFO and the log; heals')


if __name__ == '__main__':
    harness.main()
