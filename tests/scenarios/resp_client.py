"""A few lines of RESP2/RESP3, so that the scenario tools need nothing but Python's standard library."""
import socket


class ErrorReply(str):
    """An error reply's text, code first."""


class Status(str):
    """A simple string."""


class Pairs(list):
    """A RESP3 map, as a list of (key, value)."""


class Members(list):
    """A RESP3 set."""


class Double(str):
    """A RESP3 double, as the server wrote it."""


class Verbatim(bytes):
    """A RESP3 verbatim string."""


class Connection:
    """One connection; `call` sends a request and waits for its reply."""

    def __init__(self, port, host="127.0.0.1", timeout=10):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")

    def close(self):
        self.reader.close()
        self.socket.close()

    def send(self, *args):
        self.socket.sendall(encode(args))

    def call(self, *args):
        self.send(*args)
        return self.read()

    def read(self):
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return Status(rest.decode("latin-1"))
        if kind == b"-":
            return ErrorReply(rest.decode("latin-1"))
        if kind == b":":
            return int(rest)
        if kind == b",":
            return Double(rest.decode())
        if kind == b"#":
            return rest == b"t"
        if kind == b"_":
            return None
        if kind in b"$=":
            size = int(rest)
            if size < 0:
                return None
            data = self.reader.read(size + 2)[:-2]
            return Verbatim(data[4:]) if kind == b"=" else data
        size = int(rest)
        if size < 0:
            return None
        if kind == b"%":
            return Pairs((self.read(), self.read()) for _ in range(size))
        items = [self.read() for _ in range(size)]
        return Members(items) if kind == b"~" else items


def encode(args):
    out = [b"*%d\r\n" % len(args)]
    for arg in args:
        if isinstance(arg, str):
            arg = arg.encode("utf-8", "surrogateescape")
        elif not isinstance(arg, bytes):
            arg = str(arg).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
    return b"".join(out)
