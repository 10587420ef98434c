#!/usr/bin/python3
"""Makes the dumps of this folder anew: make.py, with redis-server 7.0 on the path. rdb/golden_test.cc knows what is in
them. redis-server listens on a unix socket in a scratch folder only, and ends with this script."""
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
FAR = "4102444800000"  # 2100-01-01


def strings():
    """Every form of a string, in three databases."""
    noise = bytes((i * 167 + (i * i >> 3)) % 256 for i in range(300))
    return [("SET", "empty", ""), ("SET", "zero", "0"), ("SET", "int8", "-128"), ("SET", "int16", "32767"),
            ("SET", "int32", "-2147483648"), ("SET", "int64", "9223372036854775807"), ("SET", "almost", "007"),
            ("SET", "text", "hello"), ("SET", b"\x00\xff\r\n", b"\x01\x00\xfe"), ("SET", "noise", noise),
            ("SET", "long", "holdfast" * 500), ("SET", "longer", "z" * 100000), ("SET", "4242", "a number for a key"),
            ("SET", "expires", "soon", "PXAT", FAR), ("SELECT", "3"), ("SET", "text", "of db 3"),
            ("SELECT", "15"), ("SET", "text", "of db 15")]


def hashes():
    small = [w for pair in [("a", "1"), ("b", "-5000"), ("c", "70000"), ("d", "9000000"), ("e", "-3000000000"),
                            ("f", "text"), ("12", ""), ("", "x" * 64), ("g", "127"), ("h", "-1")] for w in pair]
    many = [w for i in range(300) for w in (f"field{i}", f"value {i}")]
    return [("HSET", "small", *small), ("HSET", "many", *many), ("HSET", "wide", "f", "w" * 5000),
            ("HSET", "expires", "f", "v"), ("PEXPIREAT", "expires", FAR)]


def refused():
    stream = [("XADD", "stream", f"{i}-1", "f", "v") for i in range(1, 6)]
    return [("SET", "kept", "1"), ("RPUSH", "list", "a", "b", "3"), ("RPUSH", "longlist", *["x" * 100] * 100),
            ("SADD", "intset", "1", "2", "3"), ("SADD", "set", "a", "b"), ("ZADD", "zset", "1", "a", "2.5", "b"),
            ("ZADD", "bigzset", *[w for i in range(200) for w in (str(i), f"m{i}")]),
            *stream, ("XGROUP", "CREATE", "stream", "g", "0"), ("XREADGROUP", "GROUP", "g", "me", "COUNT", "2", "STREAMS",
                                                                "stream", ">"), ("XDEL", "stream", "3-1"),
            ("FUNCTION", "LOAD", "#!lua name=mylib\nredis.register_function('f', function() return 1 end)"),
            ("HSET", "kepthash", "f", "v")]


def save(name, commands, *options):
    folder = tempfile.mkdtemp(prefix="holdfast-golden-")
    path = folder + "/s"
    server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--dir", folder, "--save", "",
                               "--daemonize", "no", *options], stdout=subprocess.DEVNULL)
    try:
        client = socket.socket(socket.AF_UNIX)
        for _ in range(100):
            try:
                client.connect(path)
                break
            except OSError:
                time.sleep(0.05)
        client.settimeout(10)
        for command in [*commands, ("SAVE",)]:
            words = [w if isinstance(w, bytes) else w.encode() for w in command]
            client.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
            reply = client.recv(65536)
            if reply.startswith(b"-"):
                sys.exit(f"{command[:2]}: {reply.decode()}")
        shutil.copy(folder + "/dump.rdb", HERE / name)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


save("strings.rdb", strings())
save("hashes.rdb", hashes())
save("hashes-tables.rdb", hashes(), "--hash-max-listpack-entries", "0")
save("hashes-unsummed.rdb", hashes(), "--hash-max-listpack-value", "5000", "--rdbchecksum", "no")
save("refused.rdb", refused())
save("empty.rdb", [])
