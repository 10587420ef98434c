#!/usr/bin/python3
"""Sessions with redis-cli and redis-benchmark (Debian's redis-tools), unchanged, with holdfast-cli, and with
the drill."""
import fcntl, json, os, pty, re, select, signal, struct, subprocess, termios, time

import harness
from harness import encode


class RedisCliTest(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.node = harness.Server().start()
        cls.addClassCleanup(cls.node.drop)

    def setUp(self):
        with self.node.connect() as c:
            c.cmd('FLUSHALL')

    def cli(self, *words, input=None, code=0, seconds=20):
        got, out, err = harness.run(['redis-cli', '-p', str(self.node.port), *words], input=input,
                                    seconds=seconds)
        self.assertEqual(code, got, out + err)
        return out

    def test_one_command(self):
        self.assertEqual('OK\n', self.cli('SET', 'a', '1'))
        self.assertEqual('1\n', self.cli('GET', 'a'))
        self.assertEqual('"1"\n', self.cli('--no-raw', 'GET', 'a'))
        self.assertEqual('(nil)\n', self.cli('--no-raw', 'GET', 'nothing'))
        self.assertEqual('(integer) 2\n', self.cli('--no-raw', 'INCR', 'a'))
        self.cli('HSET', 'h', 'f', 'v')
        self.assertEqual('1) "f"\n2) "v"\n', self.cli('--no-raw', 'HGETALL', 'h'))
        self.assertEqual('1# "f" => "v"\n', self.cli('-3', '--no-raw', 'HGETALL', 'h'))
        self.assertIn('ERR unknown command', self.cli('NOSUCH'))
        self.assertEqual('from stdin\n', self.cli('-x', 'ECHO', input=b'from stdin'))
        self.assertEqual('{"f":"v"}\n', self.cli('--json', 'HGETALL', 'h'))
        self.assertEqual('OK\n', self.cli('-n', '3', 'SET', 'a', 'three'))
        self.assertEqual('three\n', self.cli('-u', f'redis://127.0.0.1:{self.node.port}/3', 'GET', 'a'))
        self.did('raw and typed, RESP3, JSON, stdin, -n, -u')

    def test_commands_from_stdin(self):
        out = self.cli(input=b'SET a 1\nINCR a\nMULTI\nINCR a\nINCR a\nEXEC\nGET a\n')
        self.assertEqual(['OK', '2', 'OK', 'QUEUED', 'QUEUED', '3', '4', '4'], out.split())
        self.did('MULTI and EXEC among them')

    def test_pipe_mode(self):
        raw = b''.join(encode(['SET', f'key{i}', f'value{i}']) for i in range(20000))
        out = self.cli('--pipe', input=raw)
        self.assertIn('errors: 0, replies: 20000', out)
        self.assertEqual('20000\n', self.cli('DBSIZE'))
        self.did('20,000 commands of protocol text')

    def test_scan_and_friends(self):
        with self.node.connect() as c:
            c.pipe([('SET', f'k{i}', 'v' * (i % 50)) for i in range(500)])
            c.cmd('HSET', 'hash', *[w for i in range(100) for w in (f'f{i}', i)])
        self.assertEqual({f'k{i}' for i in range(500)} | {'hash'}, set(self.cli('--scan').split()))
        self.assertEqual(111, len(self.cli('--scan', '--pattern', 'k1*').split()))
        self.assertIn('Biggest   hash found', self.cli('--bigkeys'))
        self.did('--scan, --pattern, --bigkeys')

    def has(self, command):
        with self.node.connect() as c:
            return c.cmd('COMMAND', 'INFO', command)[0] is not None

    def test_stat(self):
        process = subprocess.Popen(['stdbuf', '-oL', 'redis-cli', '-p', str(self.node.port), '-i', '0.1',
                                    '--stat'], stdout=subprocess.PIPE,
                                   preexec_fn=harness.die_with_parent)
        time.sleep(0.7)
        process.send_signal(signal.SIGTERM)
        out = process.communicate(timeout=5)[0].decode()
        lines = [line for line in out.splitlines() if re.match(r'\d+ +[\d.]+[BKMG]', line)]
        self.assertGreater(len(lines), 2, out)
        self.did(f'{len(lines)} lines in 0.7 s, e.g. "{lines[-1].strip()}"')

    def test_hints_come_from_COMMAND_DOCS(self):
        """the prompt's hints come from COMMAND DOCS"""
        pid, fd = pty.fork()
        if pid == 0:
            os.environ['TERM'] = 'xterm'
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 100, 0, 0))
            os.execvp('redis-cli', ['redis-cli', '-p', str(self.node.port)])
        try:
            seen = self.talk(fd, b'', b'> ')
            seen = self.talk(fd, b'set ', b'key value')
            self.assertIn(b'key value', seen)
            seen = self.talk(fd, b'akey avalue\r', b'OK')
            self.assertIn(b'OK', seen)
            if not harness.IS_REDIS:
                seen = self.talk(fd, b'task.submit ', b'task')
                self.assertIn(b'task', seen.split(b'task.submit')[-1])
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(fd)
        self.did('"set " is completed by "key value ..." as one types')

    @staticmethod
    def talk(fd, words, until, seconds=5):
        for i in range(len(words)):
            os.write(fd, words[i:i + 1])
            time.sleep(0.01)
        seen, end = b'', time.monotonic() + seconds
        while time.monotonic() < end and until not in seen:
            if select.select([fd], [], [], 0.1)[0]:
                seen += os.read(fd, 4096)
        return seen

    def test_redis_benchmark(self):
        """redis-benchmark with every command that is there"""
        tests = ['ping', 'set', 'get', 'incr', 'hset', 'mset']
        if self.has('LPUSH'):
            tests += ['lpush', 'rpush', 'lpop', 'sadd', 'zadd']
        code, out, err = harness.run(['redis-benchmark', '-p', str(self.node.port), '-q', '-n', '10000', '-r',
                                      '1000', '-P', '8', '-t', ','.join(tests)], seconds=60)
        self.assertEqual(0, code, out + err)
        rates = re.findall(r'^([A-Z_]+[^:\r\n]*): ([\d.]+) requests per second', out.replace('\r', '\n'),
                           re.M)
        self.assertGreaterEqual(len(rates), len(tests), out)
        self.assertNotIn('rror', out + err)
        code, out, err = harness.run(['redis-benchmark', '-p', str(self.node.port), '-q', '-n', '2000', '-3',
                                      'HSET', 'h', 'f', '__rand_int__'])
        self.assertEqual(0, code, out + err)
        self.did(', '.join(f'{name.split(" ")[0]} {float(rate) / 1000:.0f}k/s' for name, rate in rates))


class HoldfastCliTest(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.node = harness.Server().start()
        cls.addClassCleanup(cls.node.drop)

    def cli(self, *words, input=None, code=0, env=None):
        got, out, err = harness.run([harness.CLI, '-p', str(self.node.port), *words], input=input, env=env)
        self.assertEqual(code, got, out + err)
        return out, err

    def test_one_command_and_exit_codes(self):
        self.assertEqual('OK\n', self.cli('SET', 'a', '1')[0])
        self.assertEqual('1\n', self.cli('GET', 'a')[0])
        self.cli('HSET', 'h', 'f', 'v')
        self.assertEqual({'f': 'v'}, json.loads(self.cli('--json', 'HGETALL', 'h')[0]))
        self.cli('NOSUCH', code=1)
        self.cli('--nosuch', 'PING', code=2)
        code, out, err = harness.run([harness.CLI, '-p', str(harness.free_port()), 'PING'])
        self.assertEqual(69, code, out + err)
        self.assertEqual('three\n',
                         self.cli('-u', f'redis://127.0.0.1:{self.node.port}/3', 'ECHO', 'three')[0])
        out, _ = self.cli(input=b'SET b 2\nGET b\n')
        self.assertEqual(['OK', '2'], out.split())
        self.assertEqual({'a', 'b', 'h'}, set(self.cli('--scan', '--pattern', '?')[0].split()))
        self.did('0 done, 1 error, 2 usage, 69 no server; stdin, URL, JSON, --scan')

    def test_tables_of_tasks(self):
        with self.node.connect() as c:
            for i in range(3):
                c.cmd('TASK.SUBMIT', f'job{i}', 'QUEUE', 'q')
            c.cmd('TASK.CLAIM', 1, 'q', 'WORKER', 'me')
        out, _ = self.cli('task', 'ls')
        for word in ('job0', 'job1', 'job2', 'RUNNING', 'PENDING'):
            self.assertIn(word, out)
        self.assertIn('job1#1', self.cli('task', 'show', 'job1')[0])
        self.assertIn('job1', self.cli('task', 'runs', 'job1')[0])
        self.assertIn('PENDING', self.cli('task', 'events', 'job1')[0])
        self.cli('task', 'show', 'nothing-of-that-name', code=1)
        self.did('task ls, show, runs, events')

    def wrapped(self, task):
        """The command for a job of five steps that kills itself after the third, the first time."""
        folder = harness.temp_dir()
        script = os.path.join(folder, 'job.py')
        with open(script, 'w') as f:
            f.write('import os, sys, time\n'
                    f'sys.path.insert(0, {os.path.join(harness.ROOT, "utils", "python")!r})\n'
                    'import holdfast\n'
                    'path = holdfast.restore()\n'
                    'n = int(open(path).read()) if path else 0\n'
                    'print("from", n, flush=True)\n'
                    'while n < 5:\n'
                    '  n += 1\n'
                    '  with holdfast.save(n) as p:\n'
                    '    open(p, "w").write(str(n))\n'
                    '  time.sleep(0.1)\n'
                '  if n == 3 and not path:\n'
                '    os.kill(os.getpid(), 9)\n'
                'print("end", n, flush=True)\n')
        return [harness.CLI, 'run', '-p', str(self.node.port), '--task', task, '--dir',
                os.path.join(folder, 'run'),
                '--backoff', 'fixed,100ms,100ms', '--', '/usr/bin/python3', script]

    def state(self, task):
        with self.node.connect() as c:
            record = c.cmd('TASK.GET', task)
            return dict(zip(record[::2], record[1::2]))[b'state'].decode()

    def test_a_wrapped_job_that_is_killed_goes_on(self):
        code, out, err = harness.run(self.wrapped('killed-job'))
        self.assertEqual(0, code, out + err)
        self.assertEqual(['from 0', 'from 3', 'end 5'], out.splitlines())
        self.assertEqual('SUCCESS', self.state('killed-job'))
        self.did('killed after step 3, went on from 3, SUCCESS')

    def test_a_wrapper_that_is_killed_takes_up_its_run_again(self):
        command = self.wrapped('killed-wrapper')
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   preexec_fn=harness.die_with_parent)
        def steps():
            with self.node.connect() as c:
                answer = c.pipe([('TASK.CHECKPOINTS', 'killed-wrapper')])[0]
                return [] if isinstance(answer, harness.ReplyError) else answer
        harness.wait_until('two checkpoints', lambda: len(steps()) >= 2)
        process.kill()
        process.wait()
        since = time.monotonic()
        code, out, err = harness.run(command, seconds=60)
        self.assertEqual(0, code, out + err)
        self.assertRegex(out.splitlines()[0], 'from [2345]')
        self.assertEqual('SUCCESS', self.state('killed-wrapper'))
        self.did(f'"{out.splitlines()[0]}", done {time.monotonic() - since:.1f} s after the second start')

    def test_once_after_a_success_does_nothing(self):
        code, out, err = harness.run([harness.CLI, 'run', '-p', str(self.node.port), '--task', 'once',
                                      '--once', '--dir',
                                      os.path.join(harness.temp_dir(), 'run'), '--', 'echo', 'hello'])
        self.assertEqual((0, 'hello\n'), (code, out), err)
        code, out, err = harness.run([harness.CLI, 'run', '-p', str(self.node.port), '--task', 'once',
                                      '--once', '--dir',
                                      os.path.join(harness.temp_dir(), 'run'), '--', 'echo', 'hello'])
        self.assertEqual((0, ''), (code, out), err)
        code, out, err = harness.run(
            [harness.CLI, 'run', '-p', str(harness.free_port()), '--task', 'x', '--', 'true'])
        self.assertEqual(69, code, out + err)
        self.did('exit 0 without a second run; 69 where no server is')


if harness.IS_REDIS:
    del HoldfastCliTest


class DrillTest(harness.Case):
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


if __name__ == '__main__':
    harness.main()
