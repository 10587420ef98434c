"""How long the loop is held, measured inside the server (INFO stats: longest_turn_us), while the work that
comes in lumps is done: a million keys that expire in one second, ten thousand leases that end at once, a
table that doubles.

One client on a processor of its own asks little meanwhile. On a machine that others use, too, a turn can be
interrupted: the least of the rounds says what the server does, the largest what the machine did.
"""
import time

from kit import Conn, Table, fill, servers


def info(c, section='stats'):
    lines = c.cmd('INFO', section).decode().split('\r\n')
    return dict(line.split(':', 1) for line in lines if ':' in line)


def wait_for(c, done, seconds):
    end = time.monotonic() + seconds
    while not done(c):
        if time.monotonic() > end:
            raise SystemExit('it did not come to an end')
        time.sleep(0.05)


def keys_expire(c, a):
    """All keys have the same second to end in; from then on they are found and deleted."""
    n = 100_000 if a.quick else 1_000_000
    at = time.time() + (3 if a.quick else 25)
    fill(c, n, lambda i: ['SET', b'key:%012d' % i, b'v' * 32, 'EXAT', int(at) + 1])
    if time.time() > at:
        raise SystemExit('filling took longer than the keys live')
    c.cmd('CONFIG', 'RESETSTAT')
    wait_for(c, lambda c: c.cmd('DBSIZE') == 0, 120)
    return f'{n:,} keys expire in one second'


def leases_end(c, a):
    """Claimed and never heard of again. Claims take a while: leases are long, then the last ones beat them
    all short."""
    n = 10_000
    fill(c, n, lambda i: ['TASK.SUBMIT', f'job:{i:012}', 'QUEUE', 'q', 'RETRIES', 5])
    at = time.monotonic()
    for i in range(n // 1000):
        rest = max(10, 3000 - int((time.monotonic() - at) * 1000))
        claimed = c.cmd('TASK.CLAIM', 1, 'q', 'WORKER', f'worker-{i}', 'COUNT', 1000, 'LEASE', rest)
        if len(claimed) != 1000:
            raise SystemExit('some were not claimed')
    c.cmd('CONFIG', 'RESETSTAT')

    def ended(c):
        stats = c.cmd('TASK.STATS')
        return dict(zip(stats[::2], stats[1::2])).get(b'running', 0) == 0
    wait_for(c, ended, 60)
    return f'{n:,} leases end at once'


def table_grows(c, a):
    """As many keys again; 100 SET a request."""
    n = 100_000 if a.quick else 1_000_000
    fill(c, n, lambda i: ['SET', b'key:%012d' % i, b'v' * 32])
    c.cmd('CONFIG', 'RESETSTAT')
    fill(c, n, lambda i: ['SET', b'new:%012d' % i, b'v' * 32], batch=100)
    return f'{n:,} keys more than {n:,}'


def turns(a, out):
    table = Table('The longest turn of the loop, in microseconds (measured in the server; log on, everysec)',
                  ['while', 'least of the rounds', 'largest', 'p99.9', 'turns', 'over 1 ms'])
    for scene in (keys_expire, leases_end, table_grows):
        rounds = []
        for _ in range(1 if a.quick else 3):
            s = servers(['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''], ['holdfast'])[0]
            c = Conn(s.port)
            what = scene(c, a)
            rounds.append(info(c))
            c.close()
            s.drop()
        rounds.sort(key=lambda r: int(r['longest_turn_us']))
        least = dict(part.split('=') for part in rounds[0]['turn_percentiles_us'].split(','))
        out.append({'while': what, 'longest_us': int(rounds[0]['longest_turn_us']),
                    'largest_us': int(rounds[-1]['longest_turn_us']),
                    'p999_us': int(least['p99.9']), 'turns': int(rounds[0]['total_turns']),
                    'over_1ms': int(rounds[0]['turns_over_1ms'])})
        table.add(what, rounds[0]['longest_turn_us'], rounds[-1]['longest_turn_us'], least['p99.9'],
                  rounds[0]['total_turns'], rounds[0]['turns_over_1ms'])
    return table
