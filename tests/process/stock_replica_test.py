#!/usr/bin/python3
"""A stock redis-server, and redis-cli as one, replicating from Holdfast: whole, in part, through kill -9."""
import os, socket, subprocess, threading, time

import harness

PARTIAL = 'Successful partial resynchronization with master'


def contents(server):
    """Every key of every database: type, value, deadline (ms)."""
    out = {}
    with server.connect() as c:
        for db in range(16):
            c.cmd('SELECT', db)
            for key in c.cmd('KEYS', '*'):
                kind = str(c.cmd('TYPE', key))
                if kind not in ('string', 'hash'):
                    continue
                value = c.cmd('GET', key) if kind == 'string' else None
                if kind == 'hash':
                    flat = c.cmd('HGETALL', key)
                    value = dict(zip(flat[::2], flat[1::2]))
                out[db, key] = (kind, value, c.cmd('PEXPIRETIME', key))
    return out


class Proxy:
    """Passes one loopback port on to another until it is told to cut."""

    def __init__(self, to):
        self.to, self.pairs = to, []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(('127.0.0.1', self.to))
            except OSError:
                near.close()
                continue
            self.pairs.append((near, far))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(a, b), daemon=True).start()

    @staticmethod
    def _pass_on(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        for near, far in self.pairs:
            for s in (near, far):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.pairs.clear()

    def close(self):
        self.listener.close()
        self.cut()


class StockReplicaTest(harness.Case):
    def redis(self, port, flags=None, start=True):
        flags = {'dir': '.', 'bind': '127.0.0.1', 'save': '', 'appendonly': 'no', **(flags or {})}
        if port:
            flags['replicaof'] = ['127.0.0.1', port]
        redis = harness.Server(flags, program='redis-server', quiet_defaults=False)
        self.addCleanup(redis.drop)
        return redis.start() if start else redis

    @staticmethod
    def info(server, name):
        with server.connect() as c:
            for line in c.cmd('INFO', 'replication').decode().splitlines():
                if line.startswith(name + ':'):
                    return line.split(':', 1)[1]
        return ''

    def caught_up(self, node, redis, seconds=10):
        def same():
            return self.info(redis, 'master_link_status') == 'up' and \
                self.info(redis, 'slave_repl_offset') == self.info(node, 'master_repl_offset')
        harness.wait_until('the replica has everything', same, seconds=seconds)

    def assertSame(self, node, redis):
        self.caught_up(node, redis)
        time.sleep(0.05)  # nothing with a deadline of 30 ms is left
        ours, theirs = contents(node), contents(redis)
        self.assertEqual([], [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)])
        return len(ours)

    def write_everything(self, c, prefix):
        """Every kind of write of strings and hashes, in several databases; outcomes that depend on the
        time."""
        k = lambda name: f'{prefix}:{name}'
        c.pipe([
            ('SET', k('s'), 'v'), ('SET', k('ex'), 'v', 'EX', 1000), ('SET', k('keep'), 'v', 'PX', 900000),
            ('SET', k('keep'), 'w', 'KEEPTTL'), ('SETEX', k('setex'), 50, 'x'),
            ('PSETEX', k('psetex'), 50000, 'x'),
            ('SETNX', k('nx'), 1), ('MSET', k('m1'), 1, k('m2'), 2), ('MSETNX', k('m3'), 3, k('m4'), 4),
            ('APPEND', k('app'), 'abc'), ('APPEND', k('app'), b'\x00\xff\r\n'),
            ('SETRANGE', k('range'), 5, 'xyz'),
            ('INCR', k('n')), ('INCRBY', k('n'), 40), ('DECR', k('n')), ('DECRBY', k('n'), 7),
            ('INCRBYFLOAT', k('f'), '3.14'), ('INCRBYFLOAT', k('f'), '-0.5'), ('GETSET', k('s'), 'v2'),
            ('GETDEL', k('m1')), ('GETEX', k('m2'), 'EX', 300), ('GETEX', k('ex'), 'PERSIST'),
            ('SET', k('big'), 'z' * 300000), ('SET', k('num'), '12345678901234567890'),
            ('HSET', k('h'), 'a', 1, 'b', 'two'), ('HSETNX', k('h'), 'c', 3),
            ('HMSET', k('h'), 'd', 4, 'e', 5),
            ('HINCRBY', k('h'), 'a', 10), ('HINCRBYFLOAT', k('h'), 'a', '0.25'),
            ('HDEL', k('h'), 'b', 'nobody'),
            ('HSET', k('large'), *[w for i in range(700) for w in (f'field{i}', f'value {i}')]),
            ('HSET', k('long'), 'f', 'y' * 200), ('EXPIRE', k('h'), 500),
            ('PEXPIREAT', k('long'), 4102444800000),
            ('EXPIREAT', k('large'), 4102444800), ('PERSIST', k('h')), ('PEXPIRE', k('nx'), 80000),
            ('RENAME', k('m3'), k('renamed')), ('RENAMENX', k('m4'), k('renamed4')),
            ('COPY', k('h'), k('copy')),
            ('COPY', k('s'), k('s'), 'DB', 5), ('MOVE', k('renamed4'), 3), ('SET', k('gone'), 1),
            ('DEL', k('gone')),
            ('SET', k('gone2'), 1), ('UNLINK', k('gone2'), k('nobody')), ('SET', k('soon'), 1, 'PX', 30),
            ('HSET', k('hsoon'), 'a', 1), ('PEXPIRE', k('hsoon'), 30), ('EXPIRE', k('setex'), -1),
            ('MULTI',), ('SET', k('t1'), 1), ('HSET', k('t2'), 'f', 'v'), ('INCR', k('t1')), ('EXEC',),
            ('TASK.SUBMIT', k('task'), 'PAYLOAD', 'p'), ('SET', k('after-task'), 1),
            ('TASK.SUBMIT', k('t9')), ('TASK.CANCEL', k('t9')), ('SET', k('over'), 1),
            ('RENAME', k('t9'), k('over')),
            ('SET', k('over2'), 1), ('COPY', k('over'), k('over2'), 'REPLACE'), ('MOVE', k('over2'), 4),
            ('MULTI',), ('SET', k('t3'), 1), ('TASK.SUBMIT', k('task2'), 'PAYLOAD', 'p'), ('EXEC',),
            ('SELECT', 9), ('SET', k('nine'), 9), ('HSET', k('nine-h'), 'x', 'y'), ('SWAPDB', 9, 10),
            ('SELECT', 11), ('SET', k('flushed'), 9), ('FLUSHDB',), ('SELECT', 0)])

    def test_a_redis_gets_the_whole_and_then_every_write(self):
        node = self.server()
        c = self.connect(node)
        self.write_everything(c, 'before')
        redis = self.redis(node.port)
        self.caught_up(node, redis)
        self.write_everything(c, 'during')
        self.assertEqual(1, c.cmd('WAIT', 1, 5000))
        time.sleep(0.05)  # past the deadlines of 30 ms
        self.assertNotIn(b'during:soon', c.cmd('KEYS', '*'))
        harness.wait_until('expired keys are deleted',
                           lambda: not c.cmd('EXISTS', 'during:soon', 'during:hsoon'))
        keys = self.assertSame(node, redis)
        self.assertGreater(int(self.info(node, 'replication_tasks_left_out')), 0)
        with redis.connect() as r:
            self.assertEqual(0, r.cmd('EXISTS', 'before:task', 'during:task', 'during:over', 'during:over2'))
            r.cmd('SELECT', 4)
            self.assertEqual(0, r.cmd('EXISTS', 'during:over2'))
        self.assertIn('protocol=redis', self.info(node, 'slave0'))
        self.assertIn(f'ip=127.0.0.1,port={redis.port},state=online', self.info(node, 'slave0'))
        self.assertNotIn('CRITICAL', redis.log())
        self.did(f'{keys} keys are the same')

    def test_a_redis_goes_on_where_it_was_through_kill_9_of_its_primary_and_a_cut_link(self):
        node = self.server()
        c = self.connect(node)
        self.write_everything(c, 'a')
        proxy = Proxy(node.port)
        self.addCleanup(proxy.close)
        redis = self.redis(proxy.port)
        self.caught_up(node, redis)
        for round_number in range(2):
            for i in range(300):
                c.cmd('SET', f'k{round_number}:{i}', i)
            node.kill()
            node.start()
            c = self.connect(node)
            self.write_everything(c, f'life{round_number}')
            self.caught_up(node, redis)
            proxy.cut()
            self.write_everything(c, f'cut{round_number}')
            self.caught_up(node, redis)
        self.assertSame(node, redis)
        self.assertEqual(1, redis.log().count('Full resync from master'), redis.log()[-2000:])
        self.assertEqual(4, redis.log().count(PARTIAL), redis.log()[-2000:])
        self.did('4 partial resynchronizations, 1 full')

    def test_a_history_that_went_elsewhere_is_refused(self):
        node = self.server()
        self.connect(node).cmd('SET', 'a', 1)
        c = self.connect(node)
        c.cmd('REPLCONF', 'capa', 'eof', 'capa', 'psync2')
        with self.subTest('no such reign'):
            c.send(harness.encode(['PSYNC', 'f' * 40, 1]))
            self.assertTrue(c.line().lstrip(b'\n').startswith(b'+FULLRESYNC'))
        c = self.connect(node)
        c.cmd('REPLCONF', 'capa', 'eof')
        with self.subTest('past the end'):
            c.send(harness.encode(['PSYNC', self.info(node, 'master_replid'), 100000]))
            self.assertTrue(c.line().lstrip(b'\n').startswith(b'+FULLRESYNC'))
        old, end = self.info(node, 'master_replid'), int(self.info(node, 'master_repl_offset'))
        node.kill()
        node.start()
        self.connect(node).cmd('SET', 'b', 1)
        for what, offset, answer in (('to its end', end + 1, b'+CONTINUE'),
                                     ('past its end', end + 2, b'+FULLRESYNC')):
            with self.subTest(f'the reign before, {what}'):
                c = self.connect(node)
                c.cmd('REPLCONF', 'capa', 'eof')
                c.send(harness.encode(['PSYNC', old, offset]))
                self.assertTrue(c.line().lstrip(b'\n').startswith(answer))
        c = self.connect(node)
        c.send(harness.encode(['PSYNC', '?', -1]))
        self.assertError('ERR this server sends dumps', c.reply())
        self.did('four questions')

    def test_a_redis_goes_on_at_a_promoted_replica_with_the_id_it_knew(self):
        old, new = self.server(), self.server()
        c = self.connect(old)
        self.write_everything(c, 'before')
        self.connect(new).cmd('REPLICAOF', '127.0.0.1', old.port)
        redis = self.redis(old.port)
        self.caught_up(old, redis)
        self.caught_up(old, new)
        was, end = self.info(old, 'master_replid'), int(self.info(old, 'master_repl_offset'))
        with self.subTest('of the record that parts two reigns a full sync says nothing'):
            self.assertEqual(('0' * 40, '-1'), (self.info(new, 'master_replid2'), self.info(new, 'second_repl_offset')))
        old.kill()
        n = self.connect(new)
        n.cmd('REPLICAOF', 'NO', 'ONE')
        self.write_everything(n, 'behind')
        with self.subTest('the promoted one names both'):
            self.assertEqual((was, str(end + 1)),
                             (self.info(new, 'master_replid2'), self.info(new, 'second_repl_offset')))
        with redis.connect() as r:
            r.cmd('REPLICAOF', '127.0.0.1', new.port)
        self.assertSame(new, redis)
        self.assertEqual(1, redis.log().count('Full resync from master'), redis.log()[-2000:])
        self.assertEqual(1, redis.log().count(PARTIAL), redis.log()[-2000:])
        with self.subTest('the Redis itself says the same of both'):
            said = [[self.info(one, name) for name in ('master_replid', 'master_replid2', 'second_repl_offset')]
                    for one in (new, redis)]
            self.assertEqual(said[0], said[1])
        old.flags['replicaof'] = ['127.0.0.1', new.port]
        old.start()
        self.caught_up(new, old)
        with self.subTest('a Holdfast that goes on from its log says it too, before and after a restart'):
            for _ in range(2):
                self.assertEqual(said[0], [self.info(old, name) for name in
                                           ('master_replid', 'master_replid2', 'second_repl_offset')])
                old.kill()
                old.start()
                self.caught_up(new, old)
        self.did('2 native, 1 Redis: one id before, one offset')

    def test_a_redis_that_restarts_comes_back(self):
        node = self.server()
        c = self.connect(node)
        self.write_everything(c, 'a')
        redis = self.redis(node.port, {'save': '3600 1'})
        self.caught_up(node, redis)
        redis.stop()  # it writes its dump, with its place in our history
        self.write_everything(c, 'b')
        redis.start()
        keys = self.assertSame(node, redis)
        self.assertEqual(1, redis.log().count(PARTIAL), redis.log()[-2000:])
        self.did(f'partial out of its own dump, {keys} keys')

    def test_pings_count_and_min_replicas_counts_a_redis(self):
        node = self.server({'repl-ping-replica-period': 1, 'min-replicas-to-write': 1})
        c = self.connect(node)
        self.assertError('NOREPLICAS', c.pipe([('SET', 'a', 1)])[0])
        redis = self.redis(node.port)
        harness.wait_until('the replica counts', lambda: c.pipe([('SET', 'a', 1)])[0] == 'OK')
        before = int(self.info(node, 'master_repl_offset'))
        harness.wait_until('a ping', lambda: int(self.info(node, 'master_repl_offset')) >= before + 14)
        self.assertSame(node, redis)
        redis.kill()
        self.assertEqual(0, c.cmd('WAIT', 1, 50))
        self.did('pings are part of the offset')

    def test_redis_cli_takes_a_dump_and_watches_the_stream(self):
        node = self.server()
        c = self.connect(node)
        self.write_everything(c, 'a')
        dump = os.path.join(harness.temp_dir(), 'dump.rdb')
        code, out, err = harness.run(['redis-cli', '-p', str(node.port), '--rdb', dump])
        self.assertEqual(0, code, out + err)
        redis = self.redis(None, {'dir': os.path.dirname(dump), 'dbfilename': 'dump.rdb'})
        time.sleep(0.05)
        c.cmd('EXISTS', 'a:soon', 'a:hsoon')
        self.assertEqual({k: v for k, v in contents(node).items()}, contents(redis))
        watch = subprocess.Popen(['redis-cli', '-p', str(node.port), '--replica'], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                 preexec_fn=harness.die_with_parent)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        harness.wait_until('redis-cli follows', lambda: self.info(node, 'slave0').find('state=online') >= 0)
        c.cmd('SET', 'seen', 'by redis-cli')
        lines = []
        while not lines or b'"seen"' not in lines[-1]:
            lines.append(watch.stdout.readline())
            self.assertTrue(lines[-1], lines)
        self.did('--rdb loads, --replica shows')


if __name__ == '__main__':
    harness.main()
