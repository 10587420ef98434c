#!/usr/bin/python3
"""Dumps between Holdfast and Debian's redis-server, both ways: files, and DUMP and RESTORE."""
import json, os, random, shutil

import harness

CHECK = os.path.join(os.path.dirname(harness.CLI), 'holdfast-check')


def redis_server(**flags):
    return harness.Server({'dir': '.', 'bind': '127.0.0.1', 'enable-debug-command': 'local', **flags},
                          program='redis-server')


def values(c):
    """Everything that the server holds, by database and key; tasks aside."""
    out = {}
    for db in range(16):
        c.cmd('SELECT', db)
        for key in sorted(c.cmd('KEYS', '*')):
            kind = str(c.cmd('TYPE', key))
            if kind == 'task':
                continue
            value = c.cmd('GET', key) if kind == 'string' else c.cmd('HGETALL', key)
            if kind == 'hash':
                value = dict(zip(value[::2], value[1::2]))
            out[db, key] = (kind, value, c.cmd('PEXPIRETIME', key))
    c.cmd('SELECT', 0)
    return out


def fill(c, seed, count=400):
    """Random strings and hashes in three databases: numbers, text that compresses and text that does not,
    sizes from none to beyond a piece of a snapshot; some expire, in years."""
    rnd = random.Random(seed)

    def text():
        kind = rnd.randrange(6)
        if kind == 0:
            return str(
                rnd.choice([0, -1, 127, 128, -129, 32768, 2**31 - 1, 2**31, -2**63, rnd.randrange(10**12)]))
        if kind == 1:
            return rnd.randbytes(rnd.randrange(300))
        return rnd.choice(['holdfast ', 'x', 'ab']) * rnd.randrange(rnd.choice([5, 60, 3000]))

    commands = []
    for i in range(count):
        if i % (count // 3 + 1) == 0:
            commands.append(('SELECT', (0, 3, 15)[i * 3 // count]))
        key = f'key:{i}'
        if rnd.random() < 0.5:
            commands.append(('SET', key, text()))
        else:
            fields = rnd.choice([1, 5, 100, 129, 600])
            commands.append(('HSET', key, *[w for n in range(fields)
                                            for w in (f'field {n}', text() if rnd.random() < 0.3 else n)]))
        if rnd.random() < 0.3:
            commands.append(('PEXPIREAT', key, 4102444800000 + i))
    commands += [('SET', 'big', 'B' * 300000 + 'c'), ('SET', 'noise', rnd.randbytes(200000)),
                 ('HSET', 'wide', 'f', 'w' * 100000, 'g', rnd.randbytes(70000)), ('SELECT', 0)]
    for answer in c.pipe(commands):
        if isinstance(answer, harness.ReplyError):
            raise answer


class RdbTest(harness.Case):
    def redis(self, **flags):
        s = redis_server(**flags)
        self.addCleanup(s.drop)
        return s.start()

    def check(self, *words, code=0):
        got, out, err = harness.run([CHECK, *words])
        self.assertEqual(code, got, out + err)
        return out

    def loaded_by_redis(self, dump):
        """What a redis-server holds that starts with this file."""
        folder = harness.temp_dir()
        os.rename(dump, os.path.join(folder, 'loaded.rdb'))
        with self.connect(self.redis(dir=folder, dbfilename='loaded.rdb', appendonly='no')) as c:
            return values(c)

    def test_a_dump_of_redis_goes_through_reader_and_writer_unchanged(self):
        seen = 0
        for seed, flags in enumerate([{}, {'rdbcompression': 'no'}, {'hash-max-listpack-entries': '0'},
                                      {'hash-max-listpack-value': '100000', 'rdbchecksum': 'no'}]):
            redis = self.redis(**flags)
            with self.connect(redis) as c:
                fill(c, seed)
                expected = values(c)
                c.cmd('SAVE')
                dump = os.path.join(harness.temp_dir(), 'dump.rdb')
                shutil.copy(os.path.join(c.cmd('CONFIG', 'GET', 'dir')[1].decode(), 'dump.rdb'), dump)
            redis.drop()
            report = json.loads(self.check('--json', dump))
            self.assertEqual('sound', report['state'])
            self.assertEqual(len(expected), report['strings'] + report['hashes'])
            self.assertEqual(sum(v[2] > 0 for v in expected.values()), report['expiring'])
            self.assertEqual('rdbchecksum' not in flags, report['sum'])
            again = dump + '.again'
            self.check('--to-redis', again, dump)
            self.assertEqual(expected, self.loaded_by_redis(again))
            seen += len(expected)
        self.did(f'{seen} keys in four forms: read, written, loaded by redis-server, all equal')

    def test_a_snapshot_becomes_a_dump_that_redis_loads(self):
        node = self.server()
        with self.connect(node) as c:
            fill(c, 7)
            c.cmd('TASK.SUBMIT', 'job', 'QUEUE', 'q')
            c.cmd('SAVE')
            expected = values(c)
        node.stop()
        dump = os.path.join(harness.temp_dir(), 'out.rdb')
        said = self.check('--to-redis', dump, node.data)
        self.assertIn('1 tasks left out', said)
        self.check('--to-redis', dump, node.data, code=2)  # it is there already
        self.assertEqual(0, harness.run(['redis-check-rdb', dump])[0])
        self.assertEqual(expected, self.loaded_by_redis(dump))
        self.did(f'{len(expected)} keys out of a snapshot, loaded by redis-server, all equal; a task '
                 f'left out')

    def test_what_a_move_would_refuse_is_told(self):
        redis = self.redis()
        with self.connect(redis) as c:
            c.pipe([('SET', 'kept', 1), ('RPUSH', 'mylist', 1), ('SADD', 'myset', 'a'),
                    ('ZADD', 'myzset', 1, 'a'), ('XADD', 'mystream', '*', 'f', 'v'), ('RPUSH', 'other', 1)])
            c.cmd('SAVE')
            dump = os.path.join(c.cmd('CONFIG', 'GET', 'dir')[1].decode(), 'dump.rdb')
        out = self.check(dump, code=1)
        for part in ('lists', '2: key "', 'key "myset" in db 0', 'key "myzset" in db 0',
                     'key "mystream" in db 0', 'refused'):
            self.assertIn(part, out)
        copy = os.path.join(harness.temp_dir(), 'copy.rdb')
        self.check('--to-redis', copy, dump, code=1)
        self.assertEqual([], os.listdir(os.path.dirname(copy)))
        with open(dump, 'r+b') as f:
            f.seek(40)
            byte = f.read(1)
            f.seek(40)
            f.write(bytes([byte[0] ^ 1]))
        self.assertIn('damaged', self.check(dump, code=1))
        self.check(dump + '.nothing', code=2)
        self.did('five kinds of values named with their keys; a flipped byte found')

    def test_DUMP_and_RESTORE_between_the_two(self):
        redis, node = self.redis(), self.server()
        with self.connect(redis) as r, self.connect(node) as h:
            moved = same = 0
            for source, target, seed in ((r, h, 1), (h, r, 2)):
                source.cmd('FLUSHALL'), target.cmd('FLUSHALL')
                fill(source, seed, 200)
                expected = values(source)
                for (db, key), (_, _, at) in expected.items():
                    source.cmd('SELECT', db), target.cmd('SELECT', db)
                    payload = source.cmd('DUMP', key)
                    self.assertEqual('OK', target.cmd('RESTORE', key, max(at, 0), payload, 'ABSTTL'))
                    same += target.cmd('DUMP', key) == payload
                    moved += 1
                source.cmd('SELECT', 0)
                self.assertEqual(expected, values(target))
        self.did(f'{moved} values moved, all equal; {same} payloads equal byte for byte')

    def test_what_the_other_side_cannot_hold_is_refused(self):
        redis, node = self.redis(), self.server()
        with self.connect(redis) as r, self.connect(node) as h:
            r.cmd('RPUSH', 'l', 1)
            answer = h.pipe([('RESTORE', 'l', 0, r.cmd('DUMP', 'l'))])[0]
            self.assertError('ERR Bad data format: the payload is a list', answer)
            h.cmd('TASK.SUBMIT', 'job')
            self.assertError('ERR Bad data format', r.pipe([('RESTORE', 'job', 0, h.cmd('DUMP', 'job'))])[0])
            self.assertEqual(0, h.cmd('EXISTS', 'l') + r.cmd('EXISTS', 'job'))
        self.did('a list by Holdfast, a task by redis-server')

    def test_a_restored_key_is_there_after_a_crash(self):
        node = self.server({'appendfsync': 'always', 'enable-debug-command': 'local'})
        with self.connect(node) as c:
            fill(c, 3, 60)
            c.cmd('TASK.SUBMIT', 'job', 'QUEUE', 'q')
            c.cmd('TASK.CLAIM', 1, 'q', 'WORKER', 'me')
            for key in [*c.cmd('KEYS', '*')]:
                c.cmd('RESTORE', b'copy of ' + key, 100000000, c.cmd('DUMP', key))
            expected, digest = values(c), c.cmd('DEBUG', 'DIGEST')
        node.kill()
        node.start()
        with self.connect(node) as c:
            self.assertEqual(expected, values(c))
            self.assertEqual(digest, c.cmd('DEBUG', 'DIGEST'))
            record = c.cmd('TASK.GET', 'copy of job')
            self.assertEqual(b'PENDING', dict(zip(record[::2], record[1::2]))[b'state'])
        self.did(f'{len(expected)} keys and a task, equal after kill -9')


if __name__ == '__main__':
    harness.main()
