"""What an audit costs while the primary is written to: how long, whose processor, how much longer a writer
waits.

The primary has the first processor; its replica and the writer share the second, the replica taking what the
writer leaves of it.
"""
import re, time

from kit import LOAD_CPU, Conn, Table, percentile
from replication import LOGGED, YIELDS, Writer, await_link, info, pour, resident, settle, start


def await_verdict(c, before, seconds=300):
    """Until an audit later than that of offset `before` has its answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        r = info(c, 'replication')
        waits = re.search('audit=(behind|awaited)', r['slave0'])
        if int(r.get('audit_last_offset', -1)) > before and not waits:
            return r['slave0']
        time.sleep(0.02)
    raise SystemExit('the audit does not end')


def audit(a, out):
    records, rate = 300_000 if a.quick else 4_000_000, 5000
    flags = [*LOGGED, '--audit-interval', '0', '--snapshot-log-bytes', '1000gb']
    primary = start('holdfast', flags)
    c = Conn(primary.port)
    pour(c, 0, records)
    replica = start('holdfast', [*flags, '--replicaof', f'127.0.0.1 {primary.port}'], LOAD_CPU, YIELDS)
    await_link(Conn(replica.port))
    settle(c)
    time.sleep(1)
    writer = Writer(primary.port, records, rate)
    time.sleep(5)
    last = int(info(c, 'replication').get('audit_last_offset', -1))
    rest = resident(primary.pid)
    cpu, began = (primary.cpu_seconds(), replica.cpu_seconds()), time.perf_counter()
    quiet_s = 5
    time.sleep(quiet_s)
    quiet = [s.cpu_seconds() - before for s, before in zip((primary, replica), cpu)]
    cpu, asked = (primary.cpu_seconds(), replica.cpu_seconds()), time.perf_counter()
    c.cmd('REPLICATION', 'AUDIT')
    found = await_verdict(c, last)
    ended = time.perf_counter()
    took = ended - asked
    used = [s.cpu_seconds() - before - took * q / quiet_s
            for s, before, q in zip((primary, replica), cpu, quiet)]
    waits = writer.end()
    if 'audit=agrees' not in found:
        raise SystemExit(f'the audit says {found}')
    table = Table(f'An audit of {records:,} strings under {rate:,} writes a second',
                  ['seconds', "primary's CPU s", "replica's", 'memory / before', 'p99.9 ms before', 'during',
                   'worst'])
    during = [took for when, took in waits if asked <= when <= ended]
    out.append({'records': records, 'seconds': took, 'primary_cpu_seconds': used[0],
                'replica_cpu_seconds': used[1],
                'before_p999_ms': percentile([t for when, t in waits if began <= when < asked], .999),
                'during_p999_ms': percentile(during, .999), 'during_worst_ms': percentile(during, 1)})
    table.add(took, *used, resident(primary.pid) / rest,
              percentile([t for when, t in waits if began <= when < asked], .999),
              percentile(during, .999), percentile(during, 1))
    for s in (primary, replica):
        s.drop()
    return table
