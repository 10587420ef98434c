#!/usr/bin/python3
"""Random bytes and mutated requests at the port: the server lives, answers, and has lost nothing."""
import os, random, socket, time

import harness
from harness import encode

SECONDS = 20 if harness.LONG else 2.5
SEED = int(os.environ.get('HOLDFAST_SEED', '1'))
# Left out are the words that end the server, wipe what the test checks, or stop all clients: an attacker who
# may send those needs no luck (FLUSHALL, SWAPDB, SHUTDOWN, CONFIG, CLIENT PAUSE, REPLICAOF).
WORDS = [w.encode() for w in """
SET GET GETSET GETDEL GETEX SETEX SETRANGE GETRANGE APPEND STRLEN INCRBY DECRBY INCRBYFLOAT MSET MSETNX MGET
LCS HSET HGET HGETALL HDEL HSETNX HINCRBY HINCRBYFLOAT HSCAN HRANDFIELD HMGET HKEYS MULTI EXEC DISCARD WATCH
UNWATCH DEL UNLINK EXISTS TYPE RENAME RENAMENX KEYS SCAN RANDOMKEY EXPIRE PEXPIREAT PERSIST TTL OBJECT
ENCODING SELECT CLIENT LIST KILL INFO NO-EVICT REPLY COMMAND DOCS GETKEYS HELLO RESET AUTH ECHO TIME BGSAVE
LASTSAVE DBSIZE TASK.SUBMIT TASK.CLAIM TASK.BEAT TASK.BEATS TASK.CHECKPOINT TASK.CHECKPOINTS TASK.RESTORE
TASK.PAYLOAD TASK.DONE TASK.FAIL TASK.RELEASE TASK.CANCEL TASK.RESTART TASK.GET TASK.RUNS TASK.LIST
TASK.EVENTS TASK.STATS QUEUE PAYLOAD PRIORITY DELAY RETRIES BACKOFF EXPONENTIAL FIXED LEASE TIMEOUT TAGS TRACE
UNIQUE KEEP HELD FORCE WORKER RUN BLOCK COUNT REQ PROGRESS NOTE DELTA META SUM TAG VERSION STEP RANGE EXPECT
RESULT TRANSIENT PERMANENT FROM CURSOR STATE MATCH EX PX NX XX GT KEEPTTL WITHVALUES IDX LEN
0 1 2 3 16 100 -1 1e400 inf nan 9223372036854775807 9223372036854775808 17592186044417 17592186044418
k h job job job#1 job#2 job#0 job#18446744073709551616 q w {} * **** [a- \\
""".split()] + [b'', b'\xff\xfe', b'x' * 3000, b'a b', b'\r\n']


class AttackTest(harness.Case):
    def attack(self, name, make):
        s = self.server({'proto-max-bulk-len': '16mb', 'client-query-buffer-limit': '32mb'})
        draw = random.Random(f'{SEED} {name}')
        with s.connect() as c:
            c.cmd('SET', 'guarded', 'still here')
            c.cmd('HSET', 'guarded-hash', 'f', 'v')
        end, sent, connections = time.monotonic() + SECONDS, 0, 0
        while time.monotonic() < end:
            connections += 1
            try:
                with s.connect(timeout=0.2) as c:
                    for _ in range(draw.randrange(1, 30)):
                        raw = make(draw)
                        sent += len(raw)
                        c.send(raw)
                    c.sock.shutdown(socket.SHUT_WR)
                    if draw.random() < 0.7:
                        while c.sock.recv(1 << 16):
                            pass
            except OSError:
                pass
            self.assertTrue(s.alive(), f'the server died of {name}, seed {SEED}: {s.log()[-2000:]}')
        with s.connect() as c:
            self.assertEqual([b'still here', b'v'],
                             c.pipe([('GET', 'guarded'), ('HGET', 'guarded-hash', 'f')]))
            self.assertLess(int(dict(x.split(':', 1) for x in c.cmd('INFO', 'memory').decode().splitlines()
                                     if ':' in x)['used_memory']), 2 << 30)
        s.kill()
        s.start()
        with s.connect() as c:
            self.assertEqual([b'still here', b'v'],
                             c.pipe([('GET', 'guarded'), ('HGET', 'guarded-hash', 'f')]))
        self.did(f'{sent / 1e6:.1f} MB on {connections} connections; alive, and the log loads again')

    def test_random_bytes(self):
        self.attack('random bytes', lambda d: d.randbytes(d.randrange(1, 4000)))

    def test_random_bytes_that_look_like_resp(self):
        marks = [b'*', b'$', b':', b'+', b'-', b'%', b'~', b'>', b'\r\n', b'\r', b'\n', b'"', b"'", b' ',
                 b'\x00', b'-1', b'0', b'1', b'3',
                 b'16777216', b'1048576', b'2147483647', b'4294967296', b'9223372036854775807', b'SET',
                 b'PING', b'a']
        self.attack('marks', lambda d: b''.join(d.choice(marks) for _ in range(d.randrange(1, 300))))

    def test_mutated_requests(self):
        def make(d):
            raw = bytearray(b''.join(encode([d.choice(WORDS) for _ in range(d.randrange(1, 9))])
                                     for _ in range(d.randrange(1, 6))))
            for _ in range(d.randrange(0, 4)):
                at = d.randrange(len(raw))
                what = d.randrange(4)
                if what == 0:
                    raw[at] = d.randrange(256)
                elif what == 1:
                    del raw[at:at + d.randrange(1, 20)]
                elif what == 2:
                    raw[at:at] = d.randbytes(d.randrange(1, 6))
                else:
                    raw[at:at] = raw[max(0, at - 30):at]
                if not raw:
                    break
            return bytes(raw)
        self.attack('mutated requests', make)

    def test_well_formed_nonsense(self):
        """well-formed requests with any words at any place"""
        self.attack('nonsense', lambda d: encode([d.choice(WORDS) for _ in range(d.randrange(1, 9))]))


if __name__ == '__main__':
    harness.main()
