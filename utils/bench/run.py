#!/usr/bin/env python3
"""How fast, how heavy, how durable: Holdfast beside redis-server, on this machine, in one run.

The servers take turns within every round, each on the first processor, the load on the second, so that a ratio between
them holds on a noisy machine too. The figure to trust is `us/op`: processor time of the whole server process (its
threads, and forked savers, included) by what it answered. Sections: throughput, durable, durable_tasks, memory, snapshot, tasks,
runs, turns, full_sync, catch_up, quorum, audit.
"""
import argparse, itertools, json, os, platform, random, shutil, subprocess, threading, time

from audit import audit
from cycles import cycles
from kit import HOLDFAST, LOAD_CPU, SERVER_CPU, Conn, Table, benchmark, fill, live, middle, percentile, servers, slower_sync
from replication import catch_up, full_sync, quorum
from runs import runs
from turns import turns


def throughput(a, out):
    work = [('ping', 1, ['-t', 'ping_mbulk']), ('set', 1, ['-t', 'set']), ('get', 1, ['-t', 'get']), ('set', 16, ['-t', 'set']),
            ('get', 16, ['-t', 'get']), ('incr', 16, ['-t', 'incr']), ('mset 10', 16, ['-t', 'mset']), ('hset', 16, ['-t', 'hset']),
            ('hget', 16, ['HGET', 'myhash', 'element:__rand_int__']), ('set ex', 16, ['SET', 'k:__rand_int__', 'v', 'EX', '1000']),
            ('set', 100, ['-t', 'set']), ('get', 100, ['-t', 'get'])]
    both = servers(['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''])
    requests, rounds = (200000, 1) if a.quick else (1000000, 3)
    got = {}
    for _ in range(rounds):
        for name, pipeline, words in work:
            for s in both:
                n = requests if pipeline > 1 else requests // 5
                got.setdefault((name, pipeline, s.name), []).append(benchmark(s, words, n, pipeline=pipeline))
    table = Table('Throughput (50 clients, 32-byte values, log on, appendfsync everysec)',
                  ['command', 'pipeline', 'holdfast op/s', 'redis op/s', 'holdfast us/op', 'redis us/op', 'holdfast p99 ms', 'redis p99 ms'])
    for name, pipeline, _ in work:
        h, r = middle(got[(name, pipeline, 'holdfast')]), middle(got[(name, pipeline, 'redis')])
        out.append({'command': name, 'pipeline': pipeline, 'holdfast': h, 'redis': r})
        table.add(name, str(pipeline), h['ops'], r['ops'], h['us'], r['us'], h['p99'], r['p99'])
    for s in both:
        s.drop()
    return table


def durable(a, out):
    groups = {'always': servers(['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''], by=slower_sync(a.sync_us)),
              'none': servers(['--appendonly', 'no', '--save', ''])}
    work = [(1, 1, 2000), (50, 1, 100000), (500, 1, 150000), (50, 16, 400000)]
    got = {}
    for _ in range(1 if a.quick else 3):
        for clients, pipeline, n in work:
            for policy, both in groups.items():
                for s in both:
                    r = benchmark(s, ['-t', 'set'], n // 10 if a.quick else n, clients=clients, pipeline=pipeline, bytes_=100)
                    got.setdefault((clients, pipeline, policy, s.name), []).append(r)
    table = Table('SET that is on disk before the reply (appendfsync always), and its share of the throughput without a log' + longer(a),
                  ['clients', 'pipeline', 'holdfast op/s', 'share', 'p99 ms', 'redis op/s', 'share', 'p99 ms'])
    for clients, pipeline, _ in work:
        v = {(p, n): middle(got[(clients, pipeline, p, n)]) for p in groups for n in ('holdfast', 'redis')}
        share = {n: v[('always', n)]['ops'] / v[('none', n)]['ops'] for n in ('holdfast', 'redis')}
        out.append({'clients': clients, 'pipeline': pipeline, 'sync_us_added': a.sync_us, 'share_of_no_log': share,
                    **{n: v[('always', n)] for n in ('holdfast', 'redis')}})
        table.add(str(clients), str(pipeline), *[x for n in ('holdfast', 'redis') for x in
                                                (v[('always', n)]['ops'], f'{share[n] * 100:.0f} %', v[('always', n)]['p99'])])
    for both in groups.values():
        for s in both:
            s.drop()
    return table


def longer(a):
    return f'; a sync takes {a.sync_us} us longer' if a.sync_us else ''


def durable_tasks(a, out):
    """Task commands wait for the sync under any policy. One command at a time from each of many clients."""
    pair = {'always': servers(['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''], ['holdfast'], by=slower_sync(a.sync_us))[0],
            'none': servers(['--appendonly', 'no', '--save', ''], ['holdfast'])[0]}
    beat = {}
    for which, s in pair.items():
        c = Conn(s.port)
        c.cmd('TASK.SUBMIT', 'beating', 'QUEUE', 'b')
        record = c.cmd('TASK.CLAIM', 1, 'b', 'WORKER', 'w', 'LEASE', 3600000)[0]
        fields = dict(zip(record[::2], record[1::2]))
        beat[which] = ['TASK.BEAT', fields[b'run'].decode(), str(int(fields[b'token']))]
        c.close()
    # The cycle is one client's: submit, claim, beat, done; each client has a queue of its own, so that its claim is its task.
    got = {}
    rounds, scale = (1, 10) if a.quick else (3, 1)
    for turn in range(rounds):
        for clients in (50, 500):
            for which, s in pair.items():
                words = {'TASK.SUBMIT': ['TASK.SUBMIT', f'job:{turn}:{clients}:__rand_int__', 'QUEUE', 'q', 'PAYLOAD', 'p' * 64, 'FORCE'],
                         'TASK.BEAT': beat[which]}
                for name, w in words.items():
                    r = benchmark(s, w, 100000 // scale, clients=clients, keys=100000000)
                    got.setdefault((name, clients, which), []).append(r)
                r = cycles(s.port, clients, 20000 // scale, f'{turn}:{clients}')
                got.setdefault(('cycle of four', clients, which), []).append(r)
    table = Table('Task commands, on disk before the reply, and their share of the throughput without a log' + longer(a),
                  ['command', 'clients', 'op/s', 'share', 'p99 ms', 'op/s without a log', 'p99 ms'])
    for name, clients in dict.fromkeys((k[0], k[1]) for k in got):
        v, w = middle(got[(name, clients, 'always')]), middle(got[(name, clients, 'none')])
        share = v['ops'] / w['ops']
        out.append({'command': name, 'clients': clients, 'sync_us_added': a.sync_us, 'share_of_no_log': share, 'always': v, 'no_log': w})
        table.add(name, str(clients), v['ops'], f'{share * 100:.0f} %', v['p99'], w['ops'], w['p99'])
    for s in pair.values():
        s.drop()
    return table


def memory(a, out):
    n = 100000 if a.quick else 1000000
    task = lambda i: ['HSET', b'task:%012d' % i, 'status', 'RUNNING', 'updated', 1700000000 + i, 'owner', f'worker-{i % 500}', 'attempt', 1,
                      'offset', i * 7, 'trace', f'trace-{i}', 'kind', 'nlp-preprocess', 'payload', b'p' * 64]
    shapes = [('string, 16-byte key, 32-byte value', n, lambda i: ['SET', b'key:%012d' % i, b'v' * 32]),
              ('the same with an expiry', n, lambda i: ['SET', b'key:%012d' % i, b'v' * 32, 'EX', 86400]),
              ('counter', n, lambda i: ['SET', b'cnt:%012d' % i, i]),
              ('hash of 8 fields', n // 4, task)]
    table = Table('Resident bytes a record', ['record', 'number', 'holdfast', 'redis'])
    for name, count, make in shapes:
        used = {}
        for which in ('holdfast', 'redis'):
            s = servers(['--appendonly', 'no', '--save', ''], [which])[0]
            c = Conn(s.port)
            rest = s.memory()
            fill(c, count, make)
            time.sleep(0.3)
            used[which] = (s.memory() - rest) / count
            c.close()
            s.drop()
        out.append({'record': name, 'count': count, **used})
        table.add(name, f'{count:,}', used['holdfast'], used['redis'])
    return table


def snapshot_of(which, n, rate, one_core):
    """Fill, write at a steady rate, BGSAVE; then kill -9 and load. `one_core`: the writer shares the server's processor.
    Memory is looked at from the other one: the kernel walks the server's page tables for it, and nothing else runs."""
    s = servers(['--appendonly', 'no', '--save', ''], [which])[0]
    c = Conn(s.port)
    fill(c, n, lambda i: ['SET', b'key:%012d' % i, os.urandom(16).hex()])
    rest, stop, latencies = s.memory(), threading.Event(), []
    draw = random.Random(1)

    def writer():
        if one_core:
            os.sched_setaffinity(0, {int(SERVER_CPU)})  # of this thread only
        w, due = Conn(s.port), time.perf_counter()
        while not stop.is_set():
            due += 1 / rate
            now = time.perf_counter()
            if due > now:
                time.sleep(due - now)
            now = time.perf_counter()
            w.cmd('SET', b'key:%012d' % draw.randrange(n), b'x' * 32)
            latencies.append(time.perf_counter() - now)
        w.close()
    thread = threading.Thread(target=writer, daemon=True)
    thread.start()
    time.sleep(2)
    before, peak, since, cpu = list(latencies), 0, time.monotonic(), s.cpu_seconds()
    c.cmd('BGSAVE')
    while True:
        peak = max(peak, s.memory())
        if b'rdb_bgsave_in_progress:0' in c.cmd('INFO', 'persistence'):
            break
        time.sleep(0.05)
    took, during = time.monotonic() - since, latencies[len(before):]
    stop.set()
    thread.join(10)
    size = max(os.path.getsize(os.path.join(s.folder, f)) for f in os.listdir(s.folder) if f.endswith('.rdb'))
    s.kill()
    since = time.monotonic()
    s.start()
    s.ready()
    load = time.monotonic() - since
    c = Conn(s.port)
    loaded = c.cmd('DBSIZE')
    c.close()
    s.drop()
    return {'seconds': took, 'before_p999_ms': percentile(before, .999), 'during_p999_ms': percentile(during, .999),
            'during_worst_ms': percentile(during, 1), 'peak_memory': peak / rest, 'file_bytes_per_record': size / n,
            'load_records_per_second': loaded / load, 'loaded': loaded}


def snapshot(a, out):
    n = 200000 if a.quick else 2000000
    table = Table(f'A snapshot of {n:,} strings under 5,000 writes a second, and loading it after kill -9',
                  ['server', 'writer', 'seconds', 'p99.9 ms before', 'during', 'worst', 'peak / resting memory', 'bytes a record', 'loaded a second'])
    for which, one_core in itertools.product(('holdfast', 'redis'), (False, True)):
        r = snapshot_of(which, n, 5000, one_core)
        out.append({'server': which, 'one_core': one_core, **r})
        table.add(which, 'same core' if one_core else 'other core', r['seconds'], r['before_p999_ms'], r['during_p999_ms'], r['during_worst_ms'], r['peak_memory'],
                  r['file_bytes_per_record'], r['load_records_per_second'])
    return table


def cycle_holdfast(c, base, batch):
    """`batch` tasks from submit to done. Fenced, leased, checkpointed."""
    c.pipe([['TASK.SUBMIT', f'job:{base + i}', 'QUEUE', 'q', 'PAYLOAD', b'p' * 64, 'UNIQUE', 'u'] for i in range(batch)])
    leases = []
    for record in c.cmd('TASK.CLAIM', 1, 'q', 'WORKER', 'w', 'COUNT', batch, 'REQ', base):
        fields = dict(zip(record[::2], record[1::2]))
        leases.append((fields[b'run'], fields[b'token']))
    assert len(leases) == batch
    c.pipe([['TASK.CHECKPOINT', run, token, 1, b's' * 200] for run, token in leases])
    c.pipe([['TASK.DONE', run, token] for run, token in leases])


def cycle_beating(c, base, batch):
    """Submit, claim, beat, done: no step but carries a lease's token."""
    c.pipe([['TASK.SUBMIT', f'beat:{base + i}', 'QUEUE', 'b', 'PAYLOAD', b'p' * 64] for i in range(batch)])
    leases = []
    for record in c.cmd('TASK.CLAIM', 1, 'b', 'WORKER', 'w', 'COUNT', batch, 'REQ', base):
        fields = dict(zip(record[::2], record[1::2]))
        leases.append((fields[b'run'], fields[b'token']))
    assert len(leases) == batch
    c.pipe([['TASK.BEAT', run, token] for run, token in leases])
    c.pipe([['TASK.DONE', run, token] for run, token in leases])


def cycle_redis(c, base, batch):
    """The same moves by hand, as many keep jobs in Redis: no fencing, no lease that ends, no history."""
    c.pipe([x for i in range(batch) for x in (['HSET', f'job:{base + i}', 'state', 'PENDING', 'payload', b'p' * 64, 'at', 1700000000],
                                              ['LPUSH', 'q', f'job:{base + i}'])])
    names = c.pipe([['RPOPLPUSH', 'q', 'working']] * batch)
    c.pipe([['HSET', name, 'state', 'RUNNING', 'worker', 'w', 'at', 1700000000] for name in names])
    c.pipe([['HSET', name, 'step', 1, 'checkpoint', b's' * 200] for name in names])
    c.pipe([x for name in names for x in (['HSET', name, 'state', 'SUCCESS', 'at', 1700000000], ['LREM', 'working', 1, name])])


def tasks(a, out):
    both = servers(['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''])
    cycles, batch = (4000, 100) if a.quick else (40000, 100)
    got = {}
    for turn in range(1 if a.quick else 3):
        for s in both:
            c, cycle = Conn(s.port), cycle_holdfast if s.name == 'holdfast' else cycle_redis
            cpu, since = s.cpu_seconds(), time.monotonic()
            for i in range(cycles // batch):
                cycle(c, (turn * cycles) + i * batch, batch)
            seconds = time.monotonic() - since
            got.setdefault(s.name, []).append({'cycles': cycles / seconds, 'us': (s.cpu_seconds() - cpu) / cycles * 1e6})
            c.close()
    table = Table('Task cycles: submit, claim, checkpoint of 200 bytes, done; each step on disk before its reply; one client',
                  ['server', 'cycles/s', 'us/cycle', ''])
    turns = []
    for turn in range(1 if a.quick else 3):
        c, count = Conn(both[0].port), cycles // 1000 * 1000
        cpu, since = both[0].cpu_seconds(), time.monotonic()
        for i in range(0, count, 1000):
            cycle_beating(c, turn * count + i, 1000)
        seconds = time.monotonic() - since
        turns.append({'cycles': count / seconds, 'us': (both[0].cpu_seconds() - cpu) / count * 1e6})
        c.close()
    r = middle(turns)
    out.append({'server': 'holdfast', 'cycle': 'submit, claim, beat, done; 1,000 at a time', **r})
    table.add('holdfast', r['cycles'], r['us'], f'submit, claim, beat, done, 1,000 at a time: {1e6 / r["us"]:,.0f} a second of '
                                               'server time')
    for s in both:
        r = middle(got[s.name])
        out.append({'server': s.name, **r})
        table.add(s.name, r['cycles'], r['us'], 'leases, fencing, history, safe to repeat' if s.name == 'holdfast' else
                  'the same moves by HSET and lists, without any of these')
        s.drop()
    return table


SECTIONS = {'throughput': throughput, 'durable': durable, 'durable_tasks': durable_tasks, 'memory': memory, 'snapshot': snapshot, 'tasks': tasks,
            'runs': runs, 'turns': turns, 'full_sync': full_sync, 'catch_up': catch_up, 'quorum': quorum, 'audit': audit}


def main():
    ap = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    ap.add_argument('--quick', action='store_true', help='small numbers, one round: a smoke test of a minute')
    ap.add_argument('--json', action='store_true', help='all figures as JSON')
    ap.add_argument('--sync-us', type=int, default=0, metavar='N',
                    help='durable, durable_tasks, quorum: each sync takes so many microseconds longer (TMPDIR=/dev/shm: no more than that)')
    ap.add_argument('--only', help='sections, comma between: ' + ', '.join(SECTIONS))
    a = ap.parse_args()
    chosen = a.only.split(',') if a.only else list(SECTIONS)
    for name in chosen:
        if name not in SECTIONS:
            ap.error(f'no section {name}; there are {", ".join(SECTIONS)}')
    for program in ('redis-server', 'redis-benchmark', 'taskset'):
        if not shutil.which(program):
            raise SystemExit(f'{program} is missing: run deps/install.sh bench')
    if not os.path.exists(HOLDFAST):
        raise SystemExit(f'{HOLDFAST} is not there; build it with make')
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit('two processors are needed: one for the server, one for the load')
    os.sched_setaffinity(0, {int(LOAD_CPU)})
    version = subprocess.run(['redis-server', '--version'], capture_output=True, text=True).stdout.split()[2][2:]
    figures = {'redis_version': version, 'machine': platform.machine(), 'kernel': platform.release(), 'quick': a.quick}
    if not a.json:
        print(f'Holdfast beside redis-server {version}; server on processor {SERVER_CPU}, load on {LOAD_CPU}'
              + (' (quick: numbers are rough)' if a.quick else '') + '\n', flush=True)
    try:
        for name in chosen:
            figures[name] = []
            table = SECTIONS[name](a, figures[name])
            if not a.json:
                table.show()
    finally:
        for s in list(live):
            s.drop()
    if a.json:
        print(json.dumps(figures, indent=1))


if __name__ == '__main__':
    main()
