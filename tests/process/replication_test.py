#!/usr/bin/python3
"""Servers that follow one another: what a replica gets, what it refuses, what happens when roles change, and that every
trouble on the way ends in a clear message and a state that heals."""
import os, re, shutil, threading, time

import harness
from disk_test import build_shim
from following import Link, ReplicationCase, info, stat, state
from harness import ReplyError, wait_until


def fill(c, keys, size=100, name='key'):
    for at in range(0, keys, 1000):
        c.pipe([('SET', f'{name}:{i}', f'{i}:'.encode() + os.urandom(size)) for i in range(at, min(keys, at + 1000))])


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
            ('SET', 's', 'v'), ('APPEND', 's', 'w'), ('INCRBY', 'n', 7), ('HSET', 'h', 'f', 'v', 'g', 'w'), ('HDEL', 'h', 'f'),
            ('SET', 'gone', 1), ('DEL', 'gone'), ('RENAME', 's', 't'), ('COPY', 't', 'u'), ('SETRANGE', 'u', 3, 'zz'),
            ('PEXPIRE', 'n', 1_000_000), ('PERSIST', 'n'), ('MSET', 'a', 1, 'b', 2), ('SELECT', 3), ('SET', 'three', 'v'),
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
        for server in (primary, replica):
            self.assertEqual(0, server.stop())
            self.check(server.data)
        self.did('strings, hashes, tasks, 9 MB values, MULTI, SWAPDB, FLUSHALL: equal digests, sound folders, one full sync')

    def test_a_replica_reads_as_expired_and_deletes_on_the_primarys_record_only(self):
        primary = self.primary()
        replica = self.replica(primary)
        c, d = self.connect(primary), self.connect(replica)
        c.pipe([('SET', 'short', 'v', 'PX', 300), ('SET', 'long', 'v', 'PX', 600_000)])
        self.same(primary, replica)
        primary.process.send_signal(19)  # SIGSTOP: no record of the expiry can come
        time.sleep(0.5)
        self.assertEqual([None, 0, -2, 2], d.pipe([('GET', 'short'), ('EXISTS', 'short'), ('PTTL', 'short'), ('DBSIZE',)]))
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
        role = wait_until('the primary knows how far it is', lambda: (lambda r: r[2][0][2] == b'%d' % offset and r)(c.cmd('ROLE')))
        self.assertEqual([b'127.0.0.1', b'%d' % replica.port], role[2][0][:2])
        ours, theirs = info(c), info(d)
        self.assertEqual(('master', '1', 'slave', 'up'), (ours['role'], ours['connected_slaves'], theirs['role'], theirs['master_link_status']))
        self.assertEqual(ours['master_replid'], theirs['master_replid'])
        self.assertIn('state=online', ours['slave0'])
        self.assertEqual('OK Already connected to specified master', d.cmd('REPLICAOF', '127.0.0.1', primary.port))
        self.did('READONLY, WAIT, ROLE, INFO, equal replids')

    def test_client_list_and_kill_know_replicas_and_primaries(self):
        primary = self.primary()
        replica = self.replica(primary)
        self.linked(replica)
        c, d = self.connect(primary), self.connect(replica)
        field = lambda text, name: re.search(rf'{name}=(\S*)', text.decode()).group(1)
        self.assertEqual('S', field(c.cmd('CLIENT', 'LIST', 'TYPE', 'replica'), 'flags'))
        self.assertEqual('M', field(d.cmd('CLIENT', 'LIST', 'TYPE', 'master'), 'flags'))
        self.assertEqual([b'', b''], [d.cmd('CLIENT', 'LIST', 'TYPE', 'replica'), c.cmd('CLIENT', 'LIST', 'TYPE', 'master')])
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
        wait_until('a silent replica does not count', lambda: isinstance(c.pipe([('SET', 'a', 3)])[0], ReplyError), 5)
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
        self.did('a log begins with the first replica; partial after kill -9 of one, nothing lost by kill -9 of the primary')

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
            harness.wait_until('the log is begun', lambda: stat(server, 'aof_enabled', 'persistence') == '1', 10)
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


class RolesTest(ReplicationCase):
    def test_a_tail_that_is_a_whole_segment_is_kept_and_the_log_says_where(self):
        primary = self.primary()
        c = self.connect(primary)
        fill(c, 100)
        replica = self.replica(primary)
        self.same(primary, replica)
        replica.kill()
        wait_until('the primary says so', lambda: f'(port {replica.port}): its link has ended; it had acknowledged offset'
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
        for server in (one, two, primary):
            self.assertEqual(0, server.stop())
            self.check(server.data)
        self.did(f'NO ONE and a write at once; re-pointed without full sync; tail kept as rescue/{rescued[0]}')

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
        self.assertTrue(isinstance(answer, ReplyError) or self.last_error(one), f'itself: {answer}, {info(c)}')
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
                for server in (one, two):
                    self.assertEqual(0, server.stop())
                    self.check(server.data)
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


class LinkTest(ReplicationCase):
    def link(self, primary):
        link = Link(primary.port)
        self.addCleanup(link.end)
        return link

    def test_a_stream_that_is_cut_or_damaged_anywhere_goes_on_in_part(self):
        primary = self.primary()
        link = self.link(primary)
        replica = self.replica(link.port)
        self.same(primary, replica)
        c = self.connect(primary)
        for at in (5, 40, 150, 3000, 50_000):
            for what in ('cut_at', 'flip_at'):
                setattr(link, what, at)
                link_before = link.connections
                self.connect(replica).cmd('CLIENT', 'KILL', 'TYPE', 'master')
                wait_until('it dials', lambda: link.connections > link_before)
                fill(c, 100, size=600)
                wait_until(f'{what} {at} happened', lambda: getattr(link, what) is None)
                self.same(primary, replica)
        self.assertIn('damaged', replica.log())
        self.assertEqual(1, self.full_syncs(primary))
        self.did(f'{link.connections} connections, one full sync, equal digests each time')

    def test_a_snapshot_that_is_cut_or_damaged_on_the_way_is_fetched_again(self):
        primary = self.primary()
        c = self.connect(primary)
        fill(c, 3000, size=500)
        link = self.link(primary)
        for what, at in (('cut_at', 500), ('cut_at', 300_000), ('flip_at', 150), ('flip_at', 700_000)):
            setattr(link, what, at)
            replica = self.replica(link.port)
            self.same(primary, replica)
            self.assertIsNone(getattr(link, what))
            self.assertEqual([], [n for n in os.listdir(replica.data) if n.startswith('full-')])
            self.assertEqual(0, replica.stop())
            self.check(replica.data)
        self.did(f'4 ways, {link.connections} connections, sound folders')

    def test_a_slow_replica_is_fed_from_disk_at_its_own_pace(self):
        primary = self.primary({'log-segment-bytes': '1mb'})
        link = self.link(primary)
        replica = self.replica(link.port)
        self.same(primary, replica)
        c = self.connect(primary)
        rss = lambda: int(open(f'/proc/{primary.pid}/status').read().split('VmRSS:')[1].split()[0])
        c.cmd('SET', 'x', b'y' * 4_000_000)
        before = rss()
        link.rate = 4_000_000
        for i in range(16):
            c.cmd('SET', 'x', os.urandom(1_000_000))
        lag = int(re.search(r'lag_bytes=(\d+)', info(c)['slave0']).group(1))
        self.assertGreater(lag, 4_000_000)
        grown = rss() - before
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        self.assertLess(grown, 20_000)
        self.did(f'{lag >> 20} MB behind at once, memory of the primary + {grown >> 10} MB, caught up, no full sync')

    def test_a_silent_link_is_given_up_by_both_ends_and_made_again(self):
        primary = self.primary({'repl-timeout': 1})
        link = self.link(primary)
        replica = self.replica(link.port, {'repl-timeout': 1})
        self.same(primary, replica)
        link.silent = True
        self.error_says(replica, 'repl-timeout')
        wait_until('the primary gives it up', lambda: stat(primary, 'connected_slaves', 'replication') == '0', 5)
        self.connect(primary).cmd('SET', 'a', 1)
        link.silent = False
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        self.did('both say repl-timeout; partial afterwards')

    def test_the_rate_is_what_was_asked_for(self):
        primary = self.primary({'replication-max-bytes-per-second': '4mb'})
        c = self.connect(primary)
        fill(c, 8000, size=1000)
        since = time.monotonic()
        replica = self.replica(primary)
        self.same(primary, replica)
        took = time.monotonic() - since
        rate = 8000 * 1008 / took / 1e6
        self.assertLess(rate, 5.5)
        self.assertGreater(rate, 2.0)
        self.did(f'8 MB in {took:.2f} s: {rate:.1f} MB/s of the 4.2 MB/s allowed')

    def test_a_low_rate_is_no_silence(self):
        primary = self.primary({'replication-max-bytes-per-second': 100_000, 'repl-timeout': 1})
        c = self.connect(primary)
        fill(c, 250, size=1000)
        replica = self.replica(primary, {'repl-timeout': 1})
        self.same(primary, replica)
        c.cmd('SET', 'large', os.urandom(250_000))
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        self.assertNotIn('No link', replica.log())
        self.did('250 KB of snapshot and 250 KB of log at 100 KB/s with repl-timeout 1: one connection')


class DrillTest(ReplicationCase):
    def test_the_drill_for_people_ends_well_and_leaves_nothing(self):
        drill = os.path.join(harness.ROOT, 'utils', 'drill')
        folder = harness.temp_dir()
        code, out, err = harness.run([drill, '--keys', '2000', '--writes', '500'], env={'TMPDIR': folder})
        self.assertEqual((0, ''), (code, err), out)
        for word in ('noticed after', 'by a partial sync', 'bytes sent', 'the same: every key'):
            self.assertIn(word, out)
        self.assertEqual([], os.listdir(folder))
        self.assertEqual(0, harness.run([drill, '--help'])[0])
        self.did(re.search('caught up after +(.*)', out).group(1))


class DiskTest(ReplicationCase):
    """The shim of disk_test.py: a disk without room, for one of the two."""

    def shim(self):
        folder = harness.temp_dir()
        order = os.path.join(folder, 'order')
        env = {'LD_PRELOAD': build_shim(folder), 'HOLDFAST_SHIM': order, 'HOLDFAST_SHIM_DIR': os.path.join(folder, 'data')}

        def tell(words):
            with open(order + '.new', 'w') as f:
                f.write(words)
            os.replace(order + '.new', order)
        return tell, {'folder': folder, 'env': env}

    def test_a_full_disk_of_the_replica_stops_nobody_else_and_heals(self):
        tell, where = self.shim()
        primary = self.primary()
        replica = self.replica(primary, **where)
        c = self.connect(primary)
        fill(c, 100)
        self.same(primary, replica)
        tell('room 20000')
        fill(c, 2000, name='more')
        wait_until('its log says so', lambda: 'No space left' in replica.log())
        self.assertEqual(2100, c.cmd('DBSIZE'))
        self.assertLess(int(info(self.connect(replica))['replica_synced_offset']), int(state(primary)[1]))
        tell('')
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        replica.kill()
        replica.start()
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        self.did('the primary writes on; caught up when there was room, no full sync; so behind a kill -9')

    def test_a_snapshot_that_finds_no_room_is_fetched_again(self):
        tell, where = self.shim()
        primary = self.primary()
        fill(self.connect(primary), 3000, size=500)
        tell('room 600000')
        replica = self.replica(primary, start=False, **where).start()
        self.error_says(replica, 'No space left')
        tell('')
        self.same(primary, replica)
        self.did('names the reason; heals by itself')

    def test_a_full_disk_of_the_primary_leaves_both_the_same(self):
        tell, where = self.shim()
        primary = self.primary(**where)
        replica = self.replica(primary)
        c = self.connect(primary)
        fill(c, 100)
        self.same(primary, replica)
        tell('room 20000')
        filler = self.connect(primary)  # what found no room is answered when there is some
        filler.send(b''.join(harness.encode(['SET', f'more:{i}', os.urandom(200)]) for i in range(2000)))
        # A write sent before the failure is known would be one of those that it catches, and wait with them.
        wait_until('the failure is known', lambda: b'aof_last_write_status:err' in c.cmd('INFO', 'persistence'))
        wait_until('writes are refused', lambda: isinstance(c.pipe([('SET', 'x', 1)])[0], ReplyError))
        time.sleep(0.3)
        self.assertEqual('up', state(replica)[0])
        tell('')
        wait_until('writes go on', lambda: not isinstance(c.pipe([('SET', 'x', 1)])[0], ReplyError))
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        self.did('the link stays, nothing unwritten is sent ahead; the same when there was room')


if __name__ == '__main__':
    harness.main()
