#!/usr/bin/env python3
"""Sends the same random commands to two servers and compares every reply, then the whole state:
differential.py PORT REFERENCE_PORT [COMMANDS [SEED]]. Both servers are emptied first. Exit 1 at the first difference,
with the commands that led to it."""
import random
import sys

import resp_client as resp

# One template a line. A single capital letter stands for something random: see Maker.value. The rest is sent as it is.
TEMPLATES = """
SET K V|SET K N|SET K V C|SET K V O|SET K V O O|SET K N C O|SET K V KEEPTTL|SET K V GET|SET K V C GET|SETNX K V
SETEX K T V|PSETEX K M V|SETEX K X V|GET K|GET K|GETSET K V|GETDEL K|GETEX K|GETEX K EX T|GETEX K PERSIST|GETEX K O
GETEX K PXAT A|GETEX K EXAT 1|MGET K K K|MSET K V K V|MSET K V K|MSETNX K V K V|APPEND K V|APPEND K N|STRLEN K
SETRANGE K I V|SETRANGE K X V|GETRANGE K I I|SUBSTR K I I|GETRANGE K X I|INCR K|DECR K|INCRBY K N|INCRBY K X
DECRBY K N|INCRBYFLOAT K F|INCRBYFLOAT K X|LCS K K|LCS K K LEN|LCS K K IDX|LCS K K IDX WITHMATCHLEN MINMATCHLEN I
HSET H S V|HSET H S V S N|HSET H S|HSET K S V|HSETNX H S V|HMSET H S N|HGET H S|HMGET H S S|HLEN H|HSTRLEN H S
HEXISTS H S|HDEL H S|HDEL H S S S|HINCRBY H S N|HINCRBY H S X|HINCRBYFLOAT H S F|HGETALL H|HKEYS H|HVALS H
HSCAN H 0 COUNT 1000|HSCAN H 0 MATCH f1*|HSCAN H X|HSCAN H 0 COUNT X|HRANDFIELD H I|HRANDFIELD H X|HRANDFIELD H
HRANDFIELD H I WITHVALUES|HGET K S|DEL K|DEL K H K|UNLINK H|EXISTS K K H|TOUCH K H|TYPE K|TYPE H|RENAME K K
RENAME H H|RENAME K H|RENAMENX K K|RENAMENX H K|COPY K K|COPY H H REPLACE|COPY K K DB D|COPY K K DB X|MOVE K D
MOVE H 1|SELECT D|SELECT 0|SELECT X|SWAPDB D D|SWAPDB 0 X|KEYS *|KEYS k[1-3]|KEYS h?|SCAN 0 COUNT 1000
SCAN 0 COUNT 1000 TYPE hash|SCAN 0 COUNT 1000 MATCH k*|SCAN X|DBSIZE|RANDOMKEY|OBJECT ENCODING K|OBJECT ENCODING H
EXPIRE K T|EXPIRE H T|EXPIRE K T E|EXPIRE K T E E|EXPIRE K X|PEXPIRE K M|PEXPIRE K M E|EXPIREAT K A
PEXPIREAT K A|EXPIRE K 0|PEXPIREAT H 1|EXPIRE K -1 E|TTL K|TTL H|PTTL K|EXPIRETIME K|PEXPIRETIME H|PERSIST K
PERSIST H|MULTI|EXEC|EXEC|EXEC|DISCARD|WATCH K|UNWATCH|PING|PING V|ECHO V|AUTH V|HELLO X|CLIENT SETNAME V
CLIENT GETNAME|CLIENT X|CONFIG X X|OBJECT X K|X K N|GET|HSET|COMMAND GETKEYS MSET K V K V|COMMAND GETKEYS X K
FLUSHDB X|BGSAVE X|SHUTDOWN X|CLIENT KILL X X|CLIENT LIST X|MEMORY USAGE K SAMPLES X
""".replace("\n", "|").strip("|").split("|")

UNORDERED = {"KEYS", "HKEYS", "HVALS"}
PAIRED = {"HGETALL"}
TIMES = {"TTL": 2, "PTTL": 2000, "EXPIRETIME": 2, "PEXPIRETIME": 2000}


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def value(self, kind):
        r = self.random
        if kind == "K":
            return f"k{r.randrange(8)}" if r.random() < 0.93 else f"h{r.randrange(4)}"
        if kind == "H":
            return f"h{r.randrange(4)}" if r.random() < 0.95 else f"k{r.randrange(8)}"
        if kind == "S":
            return f"f{r.randrange(r.choice([3, 12, 300]))}"
        if kind == "V":
            return r.choice(["", "a", "abc", "hello world", "x" * r.choice([43, 44, 45, 64, 65, 200]), "\r\n", "é\x00"])
        if kind == "N":
            return str(r.choice([0, 1, -1, r.randrange(-1000, 1000), 2**63 - 1, -2**63, 2**31, 10**12]))
        if kind == "I":
            return str(r.choice([0, 1, 2, 3, 5, 20, -1, -2, -3, -20]))
        if kind == "F":
            return r.choice(["0.1", "1.5", "-2.25", "3e3", "1e-5", "100", "0.30000000000000004", "-0", "5e10"])
        if kind == "T":
            return str(r.randrange(1000, 10**6))
        if kind == "M":
            return str(r.randrange(10**6, 10**9))
        if kind == "A":
            return str(4 * 10**9 + r.randrange(10**6))  # a time far ahead in seconds, long past in milliseconds
        if kind == "D":
            return str(r.randrange(3))
        if kind == "C":
            return r.choice(["NX", "XX", "nx", "xx"])
        if kind == "E":
            return r.choice(["NX", "XX", "GT", "LT", "gt"])
        if kind == "O":
            return r.choice(["EX", "PX", "EXAT", "PXAT", "KEEPTTL", "PERSIST", "NX", "XX", "GET", "100000"])
        if kind == "X":
            return r.choice(["", "x", "1x", " 1", "01", "+1", "1.5", "-", "9223372036854775808", "-9223372036854775808",
                             "9223372036854775807", "99999999999", "nan", "inf", "-inf", "*"])
        return kind

    def command(self):
        if self.random.random() < 0.004:
            return [self.random.choice(["FLUSHALL", "FLUSHDB"])]
        return [self.value(word) if len(word) == 1 else word for word in self.random.choice(TEMPLATES).split(" ")]


def comparable(args, reply):
    """What of a reply must be equal: order and chance taken out."""
    name = args[0].upper()
    if isinstance(reply, resp.ErrorReply):
        return str(reply)
    if name in UNORDERED and isinstance(reply, list):
        return sorted(reply)
    if name in PAIRED and isinstance(reply, list) and not isinstance(reply, resp.Pairs):
        return sorted(zip(reply[::2], reply[1::2]))
    if name in PAIRED and isinstance(reply, list):
        return ("map", sorted(reply))
    if name in ("SCAN", "HSCAN") and isinstance(reply, list) and args[1 + (name == "HSCAN")] != "0":
        return len(reply)  # a cursor made up means something else on every server
    if name == "SCAN" and isinstance(reply, list):
        return (reply[0], sorted(reply[1]))
    if name == "HSCAN" and isinstance(reply, list):
        return (reply[0], sorted(zip(reply[1][::2], reply[1][1::2])))
    if name == "OBJECT" and reply in (b"int", b"embstr", b"raw"):
        return "string"  # which of them depends on a string's past: the scenario files name the cases that matter
    if name in ("RANDOMKEY", "MEMORY"):
        return reply is None
    if name == "HRANDFIELD":
        return (len(reply), [type(item) for item in reply]) if isinstance(reply, list) else reply is None
    return (type(reply), reply)


def same(args, a, b):
    if isinstance(a, int) and isinstance(b, int) and args[0].upper() in TIMES:
        return a == b or (a > 0 and b > 0 and abs(a - b) <= TIMES[args[0].upper()])
    return comparable(args, a) == comparable(args, b)


def state(connection):
    out = {}
    for db in range(3):
        connection.call("SELECT", db)
        for key in connection.call("KEYS", "*"):
            kind = connection.call("TYPE", key)
            value = connection.call("GET", key) if kind == "string" else connection.call("HGETALL", key)
            if kind == "hash":
                value = sorted(value) if isinstance(value, resp.Pairs) else sorted(zip(value[::2], value[1::2]))
            at = connection.call("PEXPIRETIME", key)
            encoding = comparable(["OBJECT"], connection.call("OBJECT", "ENCODING", key))
            out[(db, key)] = (str(kind), encoding, value, at // 2000 if at > 0 else at)
    return out


def run(ports, count, seed):
    connections = [resp.Connection(port) for port in ports]
    for connection in connections:
        connection.call("FLUSHALL")
        connection.call("HELLO", 2 + seed % 2)
    maker, history, queued = Maker(seed), [], None
    for _ in range(count):
        args = maker.command()
        history.append(args)
        replies = [connection.call(*args) for connection in connections]
        if args[0] == "EXEC" and queued and all(isinstance(reply, list) for reply in replies):
            equal = len(replies[0]) == len(replies[1]) == len(queued) and all(map(same, queued, *replies))
        else:
            equal = same(args, *replies)
        if not equal:
            return history, replies
        if replies[1] == "QUEUED":
            queued.append(args)
        elif args[0] in ("MULTI", "EXEC", "DISCARD"):
            queued = queued if args[0] == "MULTI" and queued else []
    for connection in connections:
        connection.call("DISCARD")
    states = [state(connection) for connection in connections]
    for key in sorted(set(states[0]) | set(states[1])):
        a, b = states[0].get(key), states[1].get(key)
        near = a and b and a[:3] == b[:3] and abs(a[3] - b[3]) <= 1
        if not near:
            return history + [[f"(state of {key})"]], [a, b]
    for connection in connections:
        connection.close()
    return None


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
    first = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    rounds = max(1, count // 2000)
    for seed in range(first, first + rounds):
        difference = run([int(sys.argv[1]), int(sys.argv[2])], min(count, 2000), seed)
        if difference:
            history, replies = difference
            print(f"seed {seed}: the replies differ after {len(history)} commands; the last ones:")
            for args in history[-12:]:
                print("  ", " ".join(repr(arg) if " " in arg or not arg.isprintable() or not arg else arg for arg in args))
            print(f"  here  {replies[0]!r}\n  there {replies[1]!r}")
            sys.exit(1)
    print(f"{rounds} rounds of {min(count, 2000)} commands: the same replies and the same state")


if __name__ == "__main__":
    main()
