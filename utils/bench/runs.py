"""Resident bytes of a live run: submitted, claimed, under a lease. Everything counts that grows: the key, the
task, its run, events, leases, names. Names have 16 bytes, as ordinary ones do; the payload's own bytes are
told apart."""
import time

from kit import Conn, Table, servers


def bytes_a_run(n, payload):
    s = servers(['--appendonly', 'no', '--save', '', '--task-sync', 'policy'], ['holdfast'])[0]
    c = Conn(s.port)
    rest = s.memory()
    more = ['PAYLOAD', b'p' * payload] if payload else []
    for i in range(0, n, 1000):
        c.pipe([['TASK.SUBMIT', b'job:%012d' % j, 'QUEUE', 'queue:nlp-pre-01', *more]
                for j in range(i, i + 1000)])
        claimed = c.cmd('TASK.CLAIM', 1, 'queue:nlp-pre-01', 'WORKER', b'worker-%09d' % (i // 1000), 'COUNT',
                        1000, 'LEASE', 86400000)
        assert len(claimed) == 1000
    time.sleep(0.3)
    used = (s.memory() - rest) / n
    c.close()
    s.drop()
    return used


def runs(a, out):
    n = 50_000 if a.quick else 1_000_000
    table = Table(f'Resident bytes of each of {n:,} live runs under a lease',
                  ['payload', 'in all', 'beside the payload'])
    for payload in (0, 64):
        used = bytes_a_run(n, payload)
        out.append({'runs': n, 'payload_bytes': payload, 'bytes': used})
        table.add(f'{payload} bytes', used, used - payload)
    return table
