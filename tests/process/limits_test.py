#!/usr/bin/python3
"""The edge of the server: bad protocol, passwords, limits of every kind, sockets. Answers are Redis's, word
by word."""
import os, socket, stat, time

import harness
from harness import Conn, encode


class ProtocolTest(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.node = harness.Server().start()
        cls.addClassCleanup(cls.node.drop)

    def tearDown(self):
        with self.node.connect() as c:
            self.assertEqual('PONG', c.cmd('PING'))

    def refused(self, raw, answer):
        """The server answers so, and closes."""
        with self.node.connect() as c:
            c.send(raw)
            got = c.rest()
            self.assertTrue(got.startswith(answer), f'{raw[:40]!r}: {got[:200]!r}')

    def test_protocol_errors_are_named_and_close_the_connection(self):
        cases = [
            (b'*1\r\n:5\r\n', b"-ERR Protocol error: expected '$', got ':'\r\n"),
            (b'*1\r\n$-5\r\n', b'-ERR Protocol error: invalid bulk length\r\n'),
            (b'*1\r\n$x\r\n', b'-ERR Protocol error: invalid bulk length\r\n'),
            (b'*1\r\n$536870913\r\n', b'-ERR Protocol error: invalid bulk length\r\n'),
            (b'*x\r\n', b'-ERR Protocol error: invalid multibulk length\r\n'),
            (b'*2147483648\r\n', b'-ERR Protocol error: invalid multibulk length\r\n'),
            (b'*99999999999999999999\r\n', b'-ERR Protocol error: invalid multibulk length\r\n'),
            (b'SET "unbalanced\r\n', b'-ERR Protocol error: unbalanced quotes in request\r\n'),
            (b'a' * 70000, b'-ERR Protocol error: too big inline request\r\n'),
            (b'*' + b'1' * 70000, b'-ERR Protocol error: too big mbulk count string\r\n'),
            (b'*1\r\n$' + b'1' * 70000, b'-ERR Protocol error: too big bulk count string\r\n'),
        ]
        for raw, answer in cases:
            self.refused(raw, answer)
        self.refused(encode(['SET', 'before', '1']) + b'*1\r\n:5\r\n', b'+OK\r\n-ERR Protocol error')
        self.did(f'{len(cases)} kinds; what came before a mistake is still answered')

    def test_requests_may_be_cut_anywhere(self):
        raw = (encode(['SET', 'cut', b'a\r\nb']) + b'GET cut\r\n' + encode(['ECHO', '']) + b'\r\n'
               + b'*0\r\n' + b'PING\n')
        with self.node.connect() as c:
            for i in range(len(raw)):
                c.send(raw[i:i + 1])
                if i % 8 == 0:
                    time.sleep(0.001)
            self.assertEqual(['OK', b'a\r\nb', b'', 'PONG'], [c.reply() for _ in range(4)])
        self.did(f'{len(raw)} bytes one by one, inline and not, empty requests between')

    def test_strings_that_end_with_other_bytes_than_a_line_end_are_logged_properly(self):
        # found by the attack: the request's own bytes went into the log, whose reader refused them
        s = self.server()
        with s.connect() as c:
            c.send(b'*3\r\n$3\r\nSETab$4\r\nrudecd$5\r\nvalueef')
            self.assertEqual('OK', c.reply())
        s.kill()
        s.start()
        with s.connect() as c:
            self.assertEqual(b'value', c.cmd('GET', 'rude'))
        self.did('taken as Redis takes them; there after kill -9')

    def test_wrong_numbers_of_arguments_and_unknown_commands(self):
        with self.node.connect() as c:
            answers = c.pipe(
                [('GET',), ('SET', 'a'), ('NOSUCH', 'a', 'b'), ('config', 'nosuch'), ('GET', 'a', 'b')])
            self.assertError("ERR wrong number of arguments for 'get' command", answers[0])
            self.assertError("ERR wrong number of arguments for 'set' command", answers[1])
            self.assertError("ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' ", answers[2])
            self.assertError("ERR unknown subcommand 'nosuch'. Try CONFIG HELP.", answers[3])
            self.assertError("ERR wrong number of arguments for 'get' command", answers[4])
            many = c.pipe([['DEL'] + ['k%d' % i for i in range(100000)]])[0]
            self.assertEqual(0, many)
        self.did('Redis\'s texts; one command with 100,000 arguments is fine')

    def test_http_on_this_port_is_closed_without_an_answer(self):
        for verb in (b'POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET evil 1\r\n',
                     b'Host: localhost\r\nSET evil 1\r\n'):
            with self.node.connect() as c:
                c.send(verb)
                try:
                    self.assertNotIn(b'+OK', c.rest())
                except ConnectionResetError:
                    pass
        with self.node.connect() as c:
            self.assertIsNone(c.cmd('GET', 'evil'))
        self.did('POST and Host: close; the line after them is not executed')

    def test_a_client_that_never_reads_holds_up_nobody(self):
        with self.node.connect() as fill:
            fill.cmd('SET', 'big', b'b' * 1000000)
        slow = self.node.connect()
        self.addCleanup(slow.close)
        slow.sock.setblocking(False)
        try:
            for _ in range(300):
                slow.sock.send(encode(['GET', 'big']))
        except BlockingIOError:
            pass
        since = time.monotonic()
        with self.node.connect() as c:
            for _ in range(50):
                c.cmd('PING')
        self.assertLess(time.monotonic() - since, 3)
        self.did('300 MB of answers ordered and not read; others are served')


class LimitTest(harness.Case):
    def test_passwords(self):
        s = self.server({'requirepass': 'right'})
        with s.connect() as c:
            answers = c.pipe([('GET', 'a'), ('PING',), ('AUTH', 'wrong'), ('AUTH', 'default', 'wrong'),
                              ('AUTH', 'right'), ('PING',), ('AUTH', 'a', 'b', 'c')])
            self.assertError('NOAUTH Authentication required.', answers[0])
            self.assertError('NOAUTH', answers[1])
            self.assertError('WRONGPASS invalid username-password pair or user is disabled.', answers[2])
            self.assertError('WRONGPASS', answers[3])
            self.assertEqual(['OK', 'PONG'], answers[4:6])
            self.assertError('ERR', answers[6])
        with s.connect() as c:
            self.assertError('NOAUTH', c.pipe([('HELLO', 3)])[0])
            self.assertError('WRONGPASS', c.pipe([('HELLO', 3, 'AUTH', 'default', 'no')])[0])
            self.assertEqual(3, c.cmd('HELLO', 3, 'AUTH', 'default', 'right')[b'proto'])
        with s.connect() as c:
            c.send(b'*1\r\n$100000000\r\n')
            self.assertTrue(c.rest().startswith(b'-ERR Protocol error: unauthenticated bulk length'))
        self.assertNotIn('right', s.log())
        with s.connect() as c:
            c.cmd('AUTH', 'right')
            c.cmd('CONFIG', 'SET', 'requirepass', '')
        with s.connect() as c:
            self.assertError("ERR AUTH <password> called without any password configured",
                             c.pipe([('AUTH', 'x')])[0])
        self.did('NOAUTH, WRONGPASS, AUTH in HELLO, small limits before AUTH, no password in the log')

    def test_DEBUG_is_behind_an_option(self):
        with self.server().connect() as c:
            self.assertError('ERR DEBUG command not allowed', c.pipe([('DEBUG', 'HELP')])[0])
        with self.server({'enable-debug-command': 'local'}).connect() as c:
            self.assertIn(b'DEBUG', c.cmd('DEBUG', 'HELP')[0].encode())
        self.did('refused by default, allowed with enable-debug-command local')

    def test_maxclients(self):
        s = self.server({'maxclients': 5})
        held = [self.connect(s) for _ in range(5)]
        for c in held:
            c.cmd('PING')
        with s.connect() as extra:
            self.assertEqual(b'-ERR max number of clients reached\r\n', extra.rest())
        held[0].close()
        harness.wait_until('room for one more', lambda: self.answers(s))
        self.did('the sixth of five is told so; after one has left there is room')

    @staticmethod
    def answers(server):
        try:
            with server.connect() as c:
                return c.cmd('PING') == 'PONG'
        except (OSError, ConnectionError, harness.ReplyError):
            return False

    def test_idle_clients_are_closed(self):
        s = self.server({'timeout': 1})
        idle, busy = self.connect(s), self.connect(s)
        since = time.monotonic()
        idle.cmd('PING')
        closed = None
        idle.sock.settimeout(0.1)
        while closed is None and time.monotonic() - since < 6:
            busy.cmd('PING')
            try:
                if idle.sock.recv(1) == b'':
                    closed = time.monotonic() - since
            except socket.timeout:
                pass
        self.assertIsNotNone(closed)
        self.assertGreater(closed, 0.9)
        self.assertEqual('PONG', busy.cmd('PING'))
        self.did(f'the idle one after {closed:.1f} s, the busy one stays')

    def test_output_buffer_limit(self):
        s = self.server({'client-output-buffer-limit': 'normal 2097152 0 0'})
        with s.connect() as c:
            c.cmd('SET', 'big', b'b' * 500000)
        greedy = self.connect(s)
        with s.connect() as c:
            try:
                for _ in range(100):
                    greedy.send(encode(['GET', 'big']))
            except OSError:
                pass
            harness.wait_until('it is disconnected', lambda: c.cmd('CLIENT', 'LIST').count(b'\n') == 1)
            self.assertEqual('PONG', c.cmd('PING'))
        self.did('100 answers of 500 kB, not read, limit 2 MB: closed; others go on')

    def test_query_buffer_limit(self):
        s = self.server({'client-query-buffer-limit': 1 << 20})
        with s.connect() as c:
            try:
                c.send(b'*3\r\n$3\r\nSET\r\n$1\r\na\r\n$20000000\r\n' + b'x' * 20000000)
                self.assertEqual(b'', c.rest(10))
            except ConnectionError:
                pass
        with s.connect() as c:
            self.assertEqual('PONG', c.cmd('PING'))
        self.did('a request of 20 MB where 1 MiB may pile up: closed')

    def test_bulk_length_limit(self):
        s = self.server({'proto-max-bulk-len': 1 << 20})
        with s.connect() as c:
            self.assertEqual('OK', c.cmd('SET', 'a', b'x' * (1 << 20)))
            c.send(b'*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1048577\r\n')
            self.assertEqual(b'-ERR Protocol error: invalid bulk length\r\n', c.rest())
        self.did('1 MiB is taken, one byte more is refused before it is sent')


class SocketTest(harness.Case):
    def test_a_unix_socket_with_its_permissions(self):
        for perm, mode in (('600', 0o600), ('770', 0o770)):
            folder = harness.temp_dir()
            path = os.path.join(folder, 'hf.sock')
            s = self.server({'unixsocket': path, 'unixsocketperm': perm}, folder=folder)
            self.assertEqual(mode, stat.S_IMODE(os.stat(path).st_mode))
            with Conn(0, path=path) as c:
                c.cmd('SET', 'a', 'by unix')
            with s.connect() as c:
                self.assertEqual(b'by unix', c.cmd('GET', 'a'))
            s.kill()          # leaves the socket's file behind; the next start must get over it
            s.start()
            with Conn(0, path=path) as c:
                self.assertEqual(b'by unix', c.cmd('GET', 'a'))
            self.assertEqual(0, s.stop())
            self.assertFalse(os.path.exists(path))
        self.did('600 and 770; a stale socket file is replaced, a clean end removes it')

    def test_only_a_unix_socket(self):
        folder = harness.temp_dir()
        path = os.path.join(folder, 'hf.sock')
        s = self.server({'unixsocket': path, 'port': 0}, folder=folder, start=False).launch()
        harness.wait_until('it answers', lambda: self.try_unix(path))
        self.assertEqual(0, s.stop())
        self.did('port 0')

    @staticmethod
    def try_unix(path):
        try:
            with Conn(0, path=path) as c:
                return c.pipe([('PING',)])[0] == 'PONG'
        except OSError:
            return False

    def test_ipv6_and_several_addresses(self):
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(('::1', 0))
        except OSError:
            self.skipTest('this machine has no IPv6')
        s = self.server({'bind': ['127.0.0.1', '127.0.0.2', '::1', '-203.0.113.9']}, start=False)
        if harness.IS_REDIS:
            s.flags['bind'] = '127.0.0.1 127.0.0.2 ::1'.split()
        s.start()
        for host in ('127.0.0.1', '127.0.0.2', '::1'):
            with Conn(s.port, host=host) as c:
                self.assertEqual('PONG', c.cmd('PING'))
        with Conn(s.port, host='::1') as c:
            info = c.cmd('CLIENT', 'INFO')
            self.assertIn(b'addr=[::1]:', info)
        self.did('127.0.0.1, 127.0.0.2, ::1, and one that is missing and may be')

    def test_a_thousand_connections(self):
        s = self.server()
        clients = [self.connect(s) for _ in range(1000)]
        for c in clients:
            c.send(encode(['INCR', 'n']))
        self.assertEqual(set(range(1, 1001)), {c.reply() for c in clients})
        for c in clients:
            c.close()
        with s.connect() as c:
            harness.wait_until('all are gone', lambda: c.cmd('CLIENT', 'LIST').count(b'\n') == 1)
        self.did('1,000 at once, each answered; none is left behind')


if __name__ == '__main__':
    harness.main()
