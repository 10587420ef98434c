#!/usr/bin/python3
"""What an audit costs while the primary is written to: how long, whose processor, how much longer a writer waits.

The primary has the first processor; its replica and the writer share the second, the replica taking what the writer
leaves of it.
"""
import argparse, os, re, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kit import LOAD_CPU, Conn, Table, percentile
from replication import LOGGED, YIELDS, Writer, await_link, info, pour, resident, settle, start


def await_verdict(c, before, seconds=300):
    """Until an audit later than that of offset `before` has its answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        r = info(c, 'replication')
        if int(r.get('audit_last_offset', -1)) > before and not re.search('audit=(behind|awaited)', r['slave0']):
            return r['slave0']
        time.sleep(0.02)
    raise SystemExit('the audit does not end')


def main():
    ap = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    ap.add_argument('--records', type=int, default=4_000_000)
    ap.add_argument('--rate', type=int, default=5000, help='writes a second')
    a = ap.parse_args()
    os.sched_setaffinity(0, {int(LOAD_CPU)})
    flags = [*LOGGED, '--audit-interval', '0', '--snapshot-log-bytes', '1000gb']
    primary = start('holdfast', flags)
    c = Conn(primary.port)
    pour(c, 0, a.records)
    replica = start('holdfast', [*flags, '--replicaof', f'127.0.0.1 {primary.port}'], LOAD_CPU, YIELDS)
    await_link(Conn(replica.port))
    settle(c)
    time.sleep(1)
    writer = Writer(primary.port, a.records, a.rate)
    time.sleep(5)
    last = int(info(c, 'replication').get('audit_last_offset', -1))
    rest, cpu, began = resident(primary.pid), (primary.cpu_seconds(), replica.cpu_seconds()), time.perf_counter()
    quiet_s = 5
    time.sleep(quiet_s)
    quiet = [s.cpu_seconds() - before for s, before in zip((primary, replica), cpu)]
    cpu, asked = (primary.cpu_seconds(), replica.cpu_seconds()), time.perf_counter()
    c.cmd('REPLICATION', 'AUDIT')
    found = await_verdict(c, last)
    ended = time.perf_counter()
    took = ended - asked
    used = [s.cpu_seconds() - before - took * q / quiet_s for s, before, q in zip((primary, replica), cpu, quiet)]
    waits = writer.end()
    if 'audit=agrees' not in found:
        raise SystemExit(f'the audit says {found}')
    table = Table(f'An audit of {a.records:,} strings under {a.rate:,} writes a second',
                  ['seconds', "primary's CPU s", "replica's", 'memory / before', 'p99.9 ms before', 'during', 'worst'])
    during = [took for when, took in waits if asked <= when <= ended]
    table.add(took, *used, resident(primary.pid) / rest, percentile([t for when, t in waits if began <= when < asked], .999),
              percentile(during, .999), percentile(during, 1))
    table.show()
    for s in (primary, replica):
        s.drop()


if __name__ == '__main__':
    main()
