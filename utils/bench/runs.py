#!/usr/bin/env python3
"""Resident bytes of a live run: submitted, claimed, under a lease. Everything counts that grows: the key, the task, its
run, events, leases, names. Names have 16 bytes, as ordinary ones do; the payload's own bytes are told apart."""
import argparse, os, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kit import LOAD_CPU, Conn, Table, servers


def bytes_a_run(n, payload):
    s = servers(['--appendonly', 'no', '--save', '', '--task-sync', 'policy'], ['holdfast'])[0]
    c = Conn(s.port)
    rest = s.memory()
    more = ['PAYLOAD', b'p' * payload] if payload else []
    for i in range(0, n, 1000):
        c.pipe([['TASK.SUBMIT', b'job:%012d' % j, 'QUEUE', 'queue:nlp-pre-01', *more] for j in range(i, i + 1000)])
        claimed = c.cmd('TASK.CLAIM', 1, 'queue:nlp-pre-01', 'WORKER', b'worker-%09d' % (i // 1000), 'COUNT', 1000,
                        'LEASE', 86400000)
        assert len(claimed) == 1000
    time.sleep(0.3)
    used = (s.memory() - rest) / n
    c.close()
    s.drop()
    return used


def main():
    ap = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    ap.add_argument('--runs', type=int, default=1_000_000)
    a = ap.parse_args()
    os.sched_setaffinity(0, {int(LOAD_CPU)})
    table = Table(f'Resident bytes of each of {a.runs:,} live runs', ['payload', 'in all', 'beside the payload'])
    for payload in (0, 64):
        used = bytes_a_run(a.runs, payload)
        table.add(f'{payload} bytes', used, used - payload)
    table.show()


if __name__ == '__main__':
    main()
