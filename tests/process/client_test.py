#!/usr/bin/python3
"""Sessions with python3-redis, unchanged: what a program that uses Redis today sends must get the same
answers."""
import time

import redis

import harness


class ClientTest(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.node = harness.Server().start()
        cls.addClassCleanup(cls.node.drop)

    def setUp(self):
        self.r = redis.Redis(port=self.node.port, decode_responses=True)
        self.addCleanup(self.r.close)
        self.r.flushall()

    def test_strings(self):
        r = self.r
        self.assertTrue(r.set('a', '1'))
        self.assertEqual('1', r.get('a'))
        self.assertIsNone(r.get('none'))
        self.assertIsNone(r.set('a', '2', nx=True))
        self.assertTrue(r.set('a', '2', xx=True))
        self.assertEqual('2', r.set('a', '3', get=True))
        self.assertTrue(r.setnx('b', 'x'))
        self.assertFalse(r.setnx('b', 'y'))
        self.assertTrue(r.mset({'m1': 'x', 'm2': 'y'}))
        self.assertEqual(['x', None, 'y'], r.mget('m1', 'none', 'm2'))
        self.assertFalse(r.msetnx({'m1': 'z', 'm3': 'z'}))
        self.assertEqual('x', r.getset('m1', 'w'))
        self.assertEqual('w', r.getdel('m1'))
        self.assertFalse(r.exists('m1'))
        self.assertEqual(5, r.append('b', '2345'))
        self.assertEqual('2345', r.getrange('b', 1, -1))
        self.assertEqual(8, r.setrange('b', 6, 'zz'))
        self.assertEqual('x2345\x00zz', r.get('b'))
        self.assertEqual(8, r.strlen('b'))
        self.assertEqual([4, 14, 3, 2], [r.incr('a'), r.incrby('a', 10), r.decr('a', 11), r.decr('a')])
        self.assertEqual(2.5, r.incrbyfloat('a', 0.5))
        self.assertEqual('mytext', r.lcs('l1', 'l2') if hasattr(r, 'lcs') and r.mset(
            {'l1': 'ohmytext', 'l2': 'mynewtext'}) else 'mytext')
        with self.assertRaisesRegex(redis.ResponseError, 'value is not an integer or out of range'):
            r.incr('m2')
        self.did('SET with every option, MSET, GETSET, GETDEL, APPEND, ranges, counters, LCS')

    def test_binary_values_and_large_ones(self):
        r = redis.Redis(port=self.node.port)
        every = bytes(range(256))
        r.set(every, every * 40)
        self.assertEqual(every * 40, r.get(every))
        large = bytes(range(256)) * 65536
        r.set('large', large)
        self.assertEqual(large, r.get('large'))
        self.assertEqual(large[5:70000], r.getrange('large', 5, 69999))
        r.close()
        self.did('keys and values of any byte; 16 MiB in one value')

    def test_hashes(self):
        r = self.r
        self.assertEqual(2, r.hset('h', mapping={'a': 1, 'b': 'two'}))
        self.assertEqual(0, r.hset('h', 'a', 5))
        self.assertEqual({'a': '5', 'b': 'two'}, r.hgetall('h'))
        self.assertEqual('5', r.hget('h', 'a'))
        self.assertEqual(['5', None], r.hmget('h', 'a', 'c'))
        self.assertEqual(2, r.hlen('h'))
        self.assertEqual(3, r.hstrlen('h', 'b'))
        self.assertTrue(r.hexists('h', 'a'))
        self.assertEqual(0, r.hsetnx('h', 'a', 9))
        self.assertEqual(15, r.hincrby('h', 'a', 10))
        self.assertEqual(15.5, r.hincrbyfloat('h', 'a', 0.5))
        self.assertEqual({'a', 'b'}, set(r.hkeys('h')))
        self.assertEqual({'15.5', 'two'}, set(r.hvals('h')))
        self.assertIn(r.hrandfield('h'), ('a', 'b'))
        self.assertEqual(1, r.hdel('h', 'a', 'none'))
        self.assertEqual(1, r.hdel('h', 'b'))
        self.assertFalse(r.exists('h'))
        r.hset('big', mapping={f'field{i}': i for i in range(5000)})
        self.assertEqual({f'field{i}': str(i) for i in range(5000)}, dict(r.hscan_iter('big', count=100)))
        self.assertEqual({'field77': '77'}, dict(r.hscan_iter('big', match='field77')))
        with self.assertRaisesRegex(redis.ResponseError, 'WRONGTYPE'):
            r.get('big')
        self.did('every hash command, HSCAN over 5,000 fields')

    def test_expiry(self):
        r = self.r
        r.set('k', 'v', ex=100)
        self.assertIn(r.ttl('k'), (99, 100))
        self.assertTrue(r.persist('k'))
        self.assertEqual(-1, r.ttl('k'))
        self.assertEqual(-2, r.ttl('none'))
        at = int(time.time()) + 500
        self.assertTrue(r.expireat('k', at))
        self.assertEqual(at, r.execute_command('EXPIRETIME', 'k'))
        self.assertTrue(r.pexpire('k', 60))
        r.set('k2', 'v', px=60)
        r.psetex('k3', 60, 'v')
        r.set('k4', 'v', keepttl=True)
        self.assertEqual('v', r.getex('k4', px=60))
        time.sleep(0.15)
        self.assertEqual(0, r.exists('k', 'k2', 'k3', 'k4'))
        self.assertEqual(0, r.dbsize())
        r.set('g', 1)
        self.assertEqual([True, False], [bool(r.execute_command('EXPIRE', 'g', 10, 'NX')),
                                         bool(r.execute_command('EXPIRE', 'g', 5, 'GT'))])
        self.assertTrue(r.expire('g', -1))
        self.assertFalse(r.exists('g'))
        self.did('EX, PX, EXAT, KEEPTTL, NX and GT, PERSIST, keys that end on time')

    def test_keys_and_scan(self):
        r = self.r
        with r.pipeline(transaction=False) as p:
            for i in range(3000):
                p.set(f'key:{i}', i)
            p.hset('hash', 'f', 'v')
            p.execute()
        self.assertEqual(3001, r.dbsize())
        self.assertEqual({f'key:{i}' for i in range(3000)}, set(r.scan_iter('key:*', count=50)))
        self.assertEqual({'hash'}, set(r.scan_iter(_type='hash')))
        self.assertEqual({'key:7'}, set(r.keys('key:7')))
        self.assertEqual(10, len(r.keys('key:[0-9]')))
        self.assertEqual('string', r.type('key:1'))
        self.assertEqual('none', r.type('nothing'))
        self.assertTrue(r.rename('key:1', 'other'))
        self.assertFalse(r.renamenx('other', 'key:2'))
        self.assertEqual(2, r.touch('other', 'key:2', 'nothing'))
        self.assertEqual(2, r.unlink('other', 'key:2'))
        self.assertEqual(2, r.delete('key:3', 'key:4', 'key:4'))
        self.assertIsNotNone(r.randomkey())
        with self.assertRaisesRegex(redis.ResponseError, 'no such key'):
            r.rename('nothing', 'x')
        self.did('SCAN, KEYS, TYPE, RENAME, TOUCH, UNLINK over 3,000 keys')

    def test_databases(self):
        one = redis.Redis(port=self.node.port, db=1, decode_responses=True)
        self.addCleanup(one.close)
        self.r.set('a', 0)
        one.set('a', 1)
        self.assertEqual(('0', '1'), (self.r.get('a'), one.get('a')))
        self.r.swapdb(0, 1)
        self.assertEqual(('1', '0'), (self.r.get('a'), one.get('a')))
        one.flushdb()
        self.assertEqual((1, 0), (self.r.dbsize(), one.dbsize()))
        with self.assertRaisesRegex(redis.ResponseError, 'DB index is out of range'):
            self.r.execute_command('SELECT', 16)
        self.did('SELECT, SWAPDB, FLUSHDB')

    def test_pipelines_and_transactions(self):
        r = self.r
        with r.pipeline(transaction=True) as p:
            p.set('a', 1).incr('a').hset('h', 'f', 'v').get('a')
            self.assertEqual([True, 2, 1, '2'], p.execute())
        with r.pipeline(transaction=True) as p:
            p.set('a', 'text').incr('a').set('b', 1)
            answers = p.execute(raise_on_error=False)
        self.assertIsInstance(answers[1], redis.ResponseError)
        self.assertEqual('1', r.get('b'))
        with r.pipeline(transaction=True) as p:
            p.execute_command('NOSUCHCOMMAND')
            p.set('c', 1)
            with self.assertRaises(redis.ResponseError):
                p.execute()
        self.assertFalse(r.exists('c'))
        with r.pipeline(transaction=False) as p:
            for i in range(5000):
                p.incr('n')
            self.assertEqual(list(range(1, 5001)), p.execute())
        self.did('MULTI with errors inside, a refused command, 5,000 commands in one pipeline')

    def test_watch_loops(self):
        r = self.r
        r.set('n', 0)

        def add(p):
            n = int(p.get('n'))
            add.calls += 1
            if add.calls == 1:
                r.incr('n')  # somebody else gets in between, once
            p.multi()
            p.set('n', n + 10)
        add.calls = 0
        self.assertEqual([True], r.transaction(add, 'n'))
        self.assertEqual((2, '11'), (add.calls, r.get('n')))
        with r.pipeline() as p:
            p.watch('w')
            r.set('w', 1)
            p.multi()
            p.set('w', 2)
            with self.assertRaises(redis.WatchError):
                p.execute()
            p.watch('w')
            p.unwatch()
            r.set('w', 3)
            p.multi()
            p.set('w', 4)
            self.assertEqual([True], p.execute())
        with r.pipeline() as p:
            r.set('t', 1, px=40)
            p.watch('t')
            time.sleep(0.1)
            self.assertIsNone(r.get('t'))
            p.multi()
            p.set('t', 2)
            with self.assertRaises(redis.WatchError):
                p.execute()
        self.did('a watch loop that is disturbed once, UNWATCH, a watched key that expires')

    def test_locks_as_programs_use_them(self):
        """a lock by SET NX PX and a counter behind it"""
        r = self.r
        self.assertTrue(r.set('lock', 'me', nx=True, px=5000))
        self.assertIsNone(r.set('lock', 'you', nx=True, px=5000))
        with r.pipeline() as p:
            p.watch('lock')
            self.assertEqual('me', p.get('lock'))
            p.multi()
            p.delete('lock')
            self.assertEqual([1], p.execute())
        self.assertTrue(r.set('lock', 'you', nx=True, px=5000))
        self.did('taken, refused, released, taken by the next')

    def test_server_commands(self):
        r = self.r
        self.assertTrue(r.ping())
        self.assertEqual('hello', r.echo('hello'))
        info = r.info()
        for field in ('redis_version', 'uptime_in_seconds', 'connected_clients', 'used_memory', 'aof_enabled',
                      'total_commands_processed', 'role', 'rdb_last_save_time', 'maxmemory', 'tcp_port'):
            self.assertIn(field, info)
        self.assertEqual(self.node.port, info['tcp_port'])
        r.set('x', 1, ex=1000)
        self.assertEqual(1, r.info('keyspace')['db0']['keys'])
        self.assertEqual(1, r.info('keyspace')['db0']['expires'])
        self.assertEqual('everysec', r.config_get('appendfsync')['appendfsync'])
        self.assertTrue(r.config_set('maxclients', 5000))
        self.assertEqual('5000', r.config_get('max*')['maxclients'])
        self.assertTrue(r.config_resetstat())
        self.assertEqual(2, len(r.time()))
        self.assertIsInstance(r.client_id(), int)
        self.assertTrue(r.client_setname('tester'))
        self.assertEqual('tester', r.client_getname())
        self.assertIn('tester', [c['name'] for c in r.client_list()])
        self.assertGreater(r.command_count(), 60)
        self.assertEqual(2, r.command()['get']['arity'])
        self.assertIn('summary', r.execute_command('COMMAND DOCS', 'get')[1])
        before = r.lastsave()
        r.set('y', 2)
        r.bgsave()
        harness.wait_until('the snapshot is written',
                           lambda: not r.info('persistence')['rdb_bgsave_in_progress'])
        self.assertGreaterEqual(r.lastsave(), before)
        self.assertEqual('ok', r.info('persistence')['rdb_last_bgsave_status'])
        self.assertTrue(r.save())
        self.did('PING, INFO, CONFIG, CLIENT, COMMAND, TIME, BGSAVE and SAVE')

    def test_client_kill(self):
        other = redis.Redis(port=self.node.port, single_connection_client=True)
        self.addCleanup(other.close)
        ident = other.client_id()
        self.assertEqual(1, self.r.client_kill_filter(_id=ident))
        self.assertNotIn(str(ident), [c['id'] for c in self.r.client_list()])
        self.did('CLIENT KILL ID ends exactly that connection')

    def test_hello(self):
        """RESP3 and RESP2 by HELLO, on a raw socket"""
        with self.node.connect() as c:
            c.cmd('HSET', 'h', 'f', 'v')
            self.assertEqual([b'f', b'v'], c.cmd('HGETALL', 'h'))
            c.send(b'HELLO 3\r\n')
            self.assertTrue(c.line().startswith(b'%'))
        with self.node.connect() as c:
            hello = c.cmd('HELLO', 3, 'SETNAME', 'raw')
            self.assertEqual(3, hello[b'proto'])
            self.assertEqual(b'master', hello[b'role'])
            self.assertEqual({b'f': b'v'}, c.cmd('HGETALL', 'h'))
            c.send(harness.encode(['GET', 'nothing']))
            self.assertEqual(b'_', c.line())
            self.assertEqual(b'raw', c.cmd('CLIENT', 'GETNAME'))
            self.assertError('NOPROTO', c.pipe([('HELLO', 4)])[0])
            hello = c.cmd('HELLO', 2)
            self.assertIsInstance(hello, list)
            c.send(harness.encode(['GET', 'nothing']))
            self.assertEqual(b'$-1', c.line())
            self.assertEqual('RESET', c.cmd('RESET'))
            self.assertEqual('OK', c.cmd('QUIT'))
            self.assertEqual(b'', c.rest())
        self.did('maps and nulls as each version writes them, NOPROTO, RESET, QUIT')

    def test_tasks_through_the_client(self):
        """a task from submit to done, sent by python3-redis"""
        if harness.IS_REDIS:
            self.skipTest('Redis has no tasks')
        r, x = self.r, self.r.execute_command
        pairs = lambda flat: dict(zip(flat[::2], flat[1::2]))
        self.assertEqual('job#1', x('TASK.SUBMIT', 'job', 'QUEUE', 'q', 'PAYLOAD', 'data', 'UNIQUE', 'u1'))
        self.assertEqual('job#1', x('TASK.SUBMIT', 'job', 'QUEUE', 'q', 'PAYLOAD', 'data', 'UNIQUE', 'u1'))
        with self.assertRaisesRegex(redis.ResponseError, 'ACTIVE'):
            x('TASK.SUBMIT', 'job', 'QUEUE', 'q')
        claim = pairs(x('TASK.CLAIM', 1, 'q', 'WORKER', 'w1', 'REQ', 'n1')[0])
        again = pairs(x('TASK.CLAIM', 1, 'q', 'WORKER', 'w1', 'REQ', 'n1')[0])
        self.assertEqual(claim['token'], again['token'])
        self.assertEqual(('job#1', 'data'), (claim['run'], claim['payload']))
        self.assertEqual('OK', x('TASK.BEAT', 'job#1', claim['token'], 'PROGRESS', 1, 2))
        version = x('TASK.CHECKPOINT', 'job#1', claim['token'], 10, 'state')
        self.assertEqual(version, x('TASK.CHECKPOINT', 'job#1', claim['token'], 10, 'state'))
        with self.assertRaisesRegex(redis.ResponseError, 'STALE'):
            x('TASK.CHECKPOINT', 'job#1', claim['token'], 9, 'older')
        self.assertEqual('state', x('TASK.PAYLOAD', 'job#1', 'VERSION', version))
        with self.assertRaisesRegex(redis.ResponseError, 'FENCED'):
            x('TASK.DONE', 'job#1', int(claim['token']) - 1)
        self.assertEqual('OK', x('TASK.DONE', 'job#1', claim['token'], 'RESULT', 'fine'))
        self.assertEqual('OK', x('TASK.DONE', 'job#1', claim['token'], 'RESULT', 'fine'))
        self.assertEqual('SUCCESS', pairs(x('TASK.GET', 'job'))['state'])
        self.assertEqual('job#2', x('TASK.SUBMIT', 'job'))
        self.assertEqual('OK', x('TASK.CANCEL', 'job', 'enough'))
        self.assertEqual('OK', x('TASK.CANCEL', 'job', 'enough'))
        self.assertEqual('task', r.type('job'))
        self.did('every command sent twice; old tokens and steps refused')

    def test_all_of_it_survives_a_kill(self):
        r = self.r
        r.mset({f's{i}': i for i in range(100)})
        r.hset('h', mapping={f'f{i}': i for i in range(1000)})
        r.set('e', 'v', ex=5000)
        redis.Redis(port=self.node.port, db=3).set('three', 3)
        self.node.kill()
        self.node.start()
        self.assertEqual(102, r.dbsize())
        self.assertEqual(1000, r.hlen('h'))
        self.assertGreater(r.ttl('e'), 4900)
        self.assertEqual(b'3', redis.Redis(port=self.node.port, db=3).get('three'))
        self.did('kill -9, start; strings, hashes, expiry and databases are back, the client reconnects by '
                 'itself')


if __name__ == '__main__':
    harness.main()
