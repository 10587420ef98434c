"""Many clients, each going through the cycle of a task with one command at a time: submit, claim, beat, done.
As lean as Python allows, since it is the load's processor that sets the pace where the server's has little to
do."""
import re, select, socket, time

from kit import Conn, percentile

RUN = re.compile(rb'\$3\r\nrun\r\n\$\d+\r\n([^\r]+)\r\n')
TOKEN = re.compile(rb'\$5\r\ntoken\r\n(?::|\$\d+\r\n)(\d+)\r\n')


class Client:
    """`step` counts commands: 4 to a cycle. A client claims from a queue of its own, so that it gets the task
    it made."""

    def __init__(self, port, name):
        self.name, self.step, self.got, self.since = name, 0, b'', 0.0
        self.queue = f'q:{name}'
        self.claim = Conn.encode(['TASK.CLAIM', 1, self.queue, 'WORKER', 'w'])
        self.sock = socket.create_connection(('127.0.0.1', port), 60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, now):
        which = self.step & 3
        if which == 0:
            words = Conn.encode(['TASK.SUBMIT', f'cycle:{self.name}:{self.step >> 2}', 'QUEUE', self.queue,
                                 'PAYLOAD', b'p' * 64])
        elif which == 1:
            words = self.claim
        else:
            words = Conn.encode(['TASK.BEAT' if which == 2 else 'TASK.DONE', self.run, self.token])
        self.since = now
        self.sock.sendall(words)

    def answered(self):
        """True once the reply is whole."""
        self.got += self.sock.recv(65536)
        if not self.got or self.got[:1] == b'-':
            raise SystemExit(f'step {self.step & 3} of a cycle: {self.got[:200]!r}')
        if self.step & 3 == 1:
            run, token = RUN.search(self.got), TOKEN.search(self.got)
            if not (run and token):
                return False
            self.run, self.token = run[1], token[1]
        self.got = b''
        self.step += 1
        return True


def cycles(port, clients, count, tag):
    """`count` cycles shared by `clients`; commands a second, and how long one took."""
    poll, by_fd, left, took = select.epoll(), {}, count * 4, []
    for i in range(clients):
        c = Client(port, f'{tag}:{i}')
        by_fd[c.sock.fileno()] = c
        poll.register(c.sock, select.EPOLLIN)
    began = time.perf_counter()
    for c in by_fd.values():
        c.ask(began)
    while left > 0:
        for fd, _ in poll.poll():
            c = by_fd[fd]
            if not c.answered():
                continue
            now = time.perf_counter()
            took.append(now - c.since)
            left -= 1
            c.ask(now)
    seconds = time.perf_counter() - began
    for c in by_fd.values():
        c.sock.close()
    poll.close()
    return {'ops': count * 4 / seconds, 'p50': percentile(took, .5), 'p99': percentile(took, .99)}
