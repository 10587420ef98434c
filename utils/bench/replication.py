"""Replication: a full sync, catching up, a replica under the primary's full load, and what a quorum costs.

The primary has the first processor; replicas and load share the second. In a full sync the replica takes what
the writer leaves of it (SCHED_IDLE): a writer's wait is then the primary's doing, not that of a replica which
loads beside it. Memory is the kernel's own high-water mark (VmHWM), so that nothing samples while latencies
are taken; what a forked child of Redis copied is added as Redis itself counts it.
"""
import array, gc, multiprocessing, os, random, socket, subprocess, time

from kit import LOAD_CPU, SERVER_CPU, Conn, Server, Table, benchmark, middle, percentile, slower_sync

YIELDS = ('chrt', '--idle', '0')
LOGGED = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', '']
OWN = {'holdfast': [], 'redis': ['--repl-diskless-sync-delay', '0']}  # 5 s of waiting for company by default


def start(which, flags, cpu=SERVER_CPU, by=()):
    return Server(which, [*flags, *OWN[which]], cpu, by).ready()


def info(c, section):
    lines = c.cmd('INFO', section).decode().splitlines()
    return dict(line.split(':', 1) for line in lines if ':' in line)


def settle(c, seconds=120):
    """Until no snapshot or rewrite that filling set off is under way."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        p = info(c, 'persistence')
        if p.get('rdb_bgsave_in_progress', '0') == '0' and p.get('aof_rewrite_in_progress', '0') == '0':
            return
        time.sleep(0.1)
    raise SystemExit('a snapshot does not end')


def pour(c, first, count, value_bytes=32, text=True, keys=None, batch=2000):
    """SET at full speed, pipelined: 16-byte keys, values that compress as hexadecimal digits do, or not at
    all."""
    head = b'*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$' + str(value_bytes).encode() + b'\r\n%b\r\n'
    stock = os.urandom(1 << 20)
    stock = stock.hex().encode() if text else stock
    draw = random.Random(first)
    ahead = 0
    for at in range(first, first + count, batch):
        n = min(batch, first + count - at)
        shift = draw.randrange(len(stock) - value_bytes - n)
        c.sock.sendall(b''.join([head % (i if keys is None else i % keys,
                                         stock[shift + i - at:shift + i - at + value_bytes])
                                 for i in range(at, at + n)]))
        ahead += n
        while ahead > 4 * batch:  # replies of the batches before are read while the last ones are executed
            ahead -= take_oks(c, n)
    while ahead > 0:
        ahead -= take_oks(c, min(ahead, batch))


def take_oks(c, n):
    got = c.file.read(5 * n)
    if got != b'+OK\r\n' * n:
        raise SystemExit(f'a SET was refused: {got[:200]}')
    return n


class Writer:
    """`rate` SETs a second on keys that are there, one at a time, from a process of its own on the load's
    processor."""

    def __init__(self, port, keys, rate):
        self.stop = multiprocessing.RawValue('b', 0)
        self.ours, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=self.run, args=(port, keys, rate, theirs), daemon=True)
        self.process.start()

    def run(self, port, keys, rate, pipe):
        os.sched_setaffinity(0, {int(LOAD_CPU)})
        gc.disable()
        draw, c, out = random.Random(1), Conn(port), array.array('d')
        due = time.perf_counter()
        while not self.stop.value:
            due += 1 / rate
            now = time.perf_counter()
            if due > now:
                time.sleep(due - now)
            now = time.perf_counter()
            c.sock.sendall(b'*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$32\r\n%b\r\n'
                           % (draw.randrange(keys), b'x' * 32))
            c.sock.recv(64)
            out.append(now)
            out.append(time.perf_counter() - now)
        pipe.send_bytes(out.tobytes())

    def end(self):
        """(when, how long) of each, by time.perf_counter()."""
        self.stop.value = 1
        out = array.array('d')
        out.frombytes(self.ours.recv_bytes())
        self.process.join()
        return list(zip(out[::2], out[1::2]))


def resident(pid, field='VmRSS'):
    with open(f'/proc/{pid}/status') as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(field + ':'))


def forget_peak(pid):
    with open(f'/proc/{pid}/clear_refs', 'w') as f:
        f.write('5')


def linked(c):
    r = info(c, 'replication')
    return r if r.get('master_link_status') == 'up' and r.get('master_sync_in_progress') == '0' else None


def offset_of(c):
    return int(info(c, 'replication')['master_repl_offset'])


def await_link(c, seconds=300, pause=0.02):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if linked(c):
            return time.perf_counter()
        time.sleep(pause)
    raise SystemExit('the replica does not get its link')


def await_offset(c, target, seconds=300, pause=0.005):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        r = linked(c)
        if r and int(r['slave_repl_offset']) >= target:
            return time.perf_counter()
        time.sleep(pause)
    raise SystemExit('the replica does not catch up')


def full_sync_of(which, n, rate, snapshot):
    """`snapshot`: the primary has one that is recent enough to be sent; else it has to take one first."""
    primary = start(which, [*LOGGED, *(['--snapshot-log-bytes', '1000gb'] if which == 'holdfast' else
                                       ['--auto-aof-rewrite-percentage', '0'])])
    c = Conn(primary.port)
    pour(c, 0, n)
    if snapshot:
        c.cmd('BGSAVE')
        settle(c)
    replica = start(which, LOGGED, LOAD_CPU, YIELDS)
    r = Conn(replica.port)
    writer = Writer(primary.port, n, rate)
    time.sleep(3)
    forget_peak(primary.pid)
    rest, cpu = resident(primary.pid), (primary.cpu_seconds(), replica.cpu_seconds())
    began = time.perf_counter()
    r.cmd('REPLICAOF', '127.0.0.1', primary.port)
    up = await_link(r)
    equal = await_offset(r, offset_of(c))
    peak = resident(primary.pid, 'VmHWM')
    used = [s.cpu_seconds() - before for s, before in zip((primary, replica), cpu)]
    if which == 'redis':
        settle(c)
        peak += int(info(c, 'persistence')['rdb_last_cow_size'])
    waits = writer.end()
    await_offset(r, offset_of(c))
    if r.cmd('DBSIZE') != c.cmd('DBSIZE'):
        raise SystemExit(f'the replica of {which} holds {r.cmd("DBSIZE")} keys, the primary '
                         f'{c.cmd("DBSIZE")}')
    during = [took for when, took in waits if began <= when <= equal]
    before = [took for when, took in waits if when < began]
    for s in (primary, replica):
        s.drop()
    return {'records': n, 'link_up_seconds': up - began, 'seconds': equal - began, 'peak_memory': peak / rest,
            'before_p999_ms': percentile(before, .999), 'during_p999_ms': percentile(during, .999),
            'during_worst_ms': percentile(during, 1), 'writes': len(during), 'primary_cpu_seconds': used[0],
            'replica_cpu_seconds': used[1]}


def full_sync(a, out):
    n, rounds = (300000, 1) if a.quick else (4000000, 1)
    table = Table(f'A full sync of {n:,} strings (16-byte keys, 32-byte values) under 5,000 writes a second; '
                  f'redis without its delay of 5 s',
                  ['server', 'snapshot', 'seconds', "primary's peak / resting memory", 'p99.9 ms before',
                   'during', 'worst', "primary's CPU s", "replica's"])
    got = {}
    for _ in range(rounds):
        for which, snapshot in (('holdfast', True), ('holdfast', False), ('redis', False)):
            got.setdefault((which, snapshot), []).append(full_sync_of(which, n, 5000, snapshot))
    for (which, snapshot), rows in got.items():
        r = middle(rows)
        out.append({'server': which, 'snapshot_there': snapshot, **r})
        table.add(which, 'there' if snapshot else 'to be taken', r['seconds'], r['peak_memory'],
                  r['before_p999_ms'], r['during_p999_ms'], r['during_worst_ms'],
                  r['primary_cpu_seconds'], r['replica_cpu_seconds'])
    return table


# ---- catching up -------------------------------------------------------------------------------------------

def backlog_of(which, total, value_bytes, text):
    """A replica that was away while the primary wrote `total` bytes: from its link to having everything."""
    records = total // (value_bytes + 60)
    keep = str(4 * total)
    flags = {'holdfast': [*LOGGED, '--log-keep-bytes', keep, '--replica-keep-bytes', keep],
             'redis': [*LOGGED, '--repl-backlog-size', keep, '--auto-aof-rewrite-percentage', '0']}[which]
    # A Redis with its log on forgets at a restart whom it followed: its replica goes without, which costs it
    # less.
    own = flags if which == 'holdfast' else ['--appendonly', 'no', '--save', '']
    primary, replica = start(which, flags), start(which, own, LOAD_CPU)
    c, r = Conn(primary.port), Conn(replica.port)
    pour(c, 0, 1000, value_bytes, text)
    r.cmd('REPLICAOF', '127.0.0.1', primary.port)
    await_offset(r, offset_of(c))
    stop(replica, r)
    before = offset_of(c)
    pour(c, 0, records, value_bytes, text, keys=100000)
    settle(c)
    time.sleep(1)
    full = info(c, 'stats')['sync_full']
    replica.command += ['--replicaof', f'127.0.0.1 {primary.port}']
    replica.start()
    replica.ready()
    r = Conn(replica.port)
    cpu = primary.cpu_seconds(), replica.cpu_seconds()
    await_link(r, pause=0.002)
    # It has been at it for a moment: what is measured is the rest.
    at, began = int(info(r, 'replication')['slave_repl_offset']), time.perf_counter()
    ended = await_offset(r, offset_of(c))
    used = [s.cpu_seconds() - b for s, b in zip((primary, replica), cpu)]
    written, rest = offset_of(c) - before, offset_of(c) - at
    partial = info(c, 'stats')['sync_full'] == full
    for s in (primary, replica):
        s.drop()
    return {'bytes': written, 'records': records, 'seconds': ended - began,
            'bytes_per_second': rest / (ended - began),
            'records_per_second': records * rest / written / (ended - began), 'partial': partial,
            'primary_cpu_seconds': used[0], 'replica_cpu_seconds': used[1]}


def stop(server, c):
    try:
        c.cmd('SHUTDOWN', 'SAVE' if server.name == 'redis' else 'NOSAVE')
    except (ConnectionError, OSError):
        pass
    server.process.wait(60)


def disk_bytes_per_second(total):
    """What dd gets: zeros written and synced."""
    import tempfile
    with tempfile.TemporaryDirectory(prefix='holdfast-bench-') as folder:
        since = time.monotonic()
        subprocess.run(['taskset', '-c', LOAD_CPU, 'dd', 'if=/dev/zero', f'of={folder}/zeros', 'bs=1M',
                        f'count={total >> 20}', 'conv=fdatasync'], check=True, stderr=subprocess.DEVNULL)
        return total / (time.monotonic() - since)


def loopback_bytes_per_second(total):
    """From a process on the first processor to one on the second, a quarter of a megabyte a call."""
    def send(port):
        os.sched_setaffinity(0, {int(SERVER_CPU)})
        with socket.create_connection(('127.0.0.1', port)) as s:
            piece = bytes(1 << 18)
            for _ in range(total >> 18):
                s.sendall(piece)
    with socket.socket() as listening:
        listening.bind(('127.0.0.1', 0))
        listening.listen(1)
        sender = multiprocessing.Process(target=send, args=(listening.getsockname()[1],))
        sender.start()
        s, _ = listening.accept()
        since, space = time.monotonic(), bytearray(1 << 18)
        while s.recv_into(space):
            pass
        took = time.monotonic() - since
        s.close()
        sender.join()
    return total / took


def under_load_of(which, requests):
    """Pipelined SETs as fast as the primary takes them, a replica attached: how far behind it is at the
    end."""
    flags = [*LOGGED, *(['--repl-backlog-size', '1gb', '--client-output-buffer-limit', 'replica 0 0 0',
                         '--auto-aof-rewrite-percentage', '0'] if which == 'redis' else [])]
    primary = start(which, flags)
    replica = start(which, flags, LOAD_CPU)
    c, r = Conn(primary.port), Conn(replica.port)
    r.cmd('REPLICAOF', '127.0.0.1', primary.port)
    await_offset(r, offset_of(c))
    cpu = primary.cpu_seconds(), replica.cpu_seconds()
    since = time.perf_counter()
    ran = benchmark(primary, ['-t', 'set'], requests, pipeline=100)
    ended, target = time.perf_counter(), offset_of(c)
    lag = target - int(info(r, 'replication').get('slave_repl_offset', 0))
    equal = await_offset(r, target)
    used = [s.cpu_seconds() - b for s, b in zip((primary, replica), cpu)]
    for s in (primary, replica):
        s.drop()
    return {'written_per_second': ran['ops'], 'applied_per_second': requests / (equal - since),
            'lag_bytes': lag, 'lag_zero_seconds': equal - ended, 'primary_us': used[0] / requests * 1e6,
            'replica_us': used[1] / requests * 1e6}


def catch_up(a, out):
    total = (64 if a.quick else 1024) << 20
    table = Table(f'Catching up {total >> 20:,} MiB of backlog after a restart; then SET, pipeline 100, with '
                  f'a replica attached',
                  ['server', 'what', 'MB/s', 'records/s', "primary's CPU us", "replica's", 'lag at the end',
                   'gone after s'])
    for value_bytes, text in ((1024, False), (32, True)):
        for which in ('holdfast', 'redis'):
            v = backlog_of(which, total, value_bytes, text)
            out.append({'server': which, 'value_bytes': value_bytes, **v})
            table.add(which, f'backlog of {value_bytes}-byte values' + ('' if v['partial'] else ', in full'),
                      v['bytes_per_second'] / 1e6, v['records_per_second'],
                      v['primary_cpu_seconds'] / v['records'] * 1e6,
                      v['replica_cpu_seconds'] / v['records'] * 1e6, '', '')
    requests = 200000 if a.quick else 5000000
    for which in ('holdfast', 'redis'):
        v = under_load_of(which, requests)
        out.append({'server': which, 'pipelined': True, **v})
        table.add(which, f'written at {v["written_per_second"]:,.0f}/s', '', v['applied_per_second'],
                  v['primary_us'], v['replica_us'], f'{v["lag_bytes"] / 1e6:.2f} MB', v['lag_zero_seconds'])
    # Last: who writes right behind a gigabyte of dd's got a third of what it gets otherwise.
    disk, loop = disk_bytes_per_second(total), loopback_bytes_per_second(total)
    out.append({'disk_bytes_per_second': disk, 'loopback_bytes_per_second': loop})
    table.add('dd, synced', f'{total >> 20:,} MiB of zeros', disk / 1e6, '', '', '', '', '')
    table.add('loopback', 'a process to another', loop / 1e6, '', '', '', '', '')
    return table


# ---- write concern -----------------------------------------------------------------------------------------

def quorum(a, out):
    """Asynchronous beside quorum: the same two replicas, the same policy, in turns on the same servers."""
    always = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '', '--min-copies', '2']
    by = slower_sync(a.sync_us)
    primary = start('holdfast', always, by=by)
    replicas = [start('holdfast', always, LOAD_CPU, by) for _ in range(2)]
    c = Conn(primary.port)
    for replica in replicas:
        r = Conn(replica.port)
        r.cmd('REPLICAOF', '127.0.0.1', primary.port)
        await_offset(r, offset_of(c))
    work = [(1, 1, 2000), (50, 1, 40000), (500, 1, 60000), (50, 16, 200000)]
    got = {}
    for _ in range(1 if a.quick else 3):
        for clients, pipeline, n in work:
            for concern in ('async', 'quorum'):
                c.cmd('CONFIG', 'SET', 'write-concern', concern)
                v = benchmark(primary, ['-t', 'set'], n // 10 if a.quick else n, clients=clients,
                              pipeline=pipeline, bytes_=100)
                got.setdefault((clients, pipeline, concern), []).append(v)
    table = Table('SET with appendfsync always and two replicas: a reply after its own sync, and after a '
                  'replica\'s too (quorum)'
                  + (f'; a sync takes {a.sync_us} us longer' if a.sync_us else ''),
                  ['clients', 'pipeline', 'async op/s', 'quorum op/s', 'share', 'async p50 ms',
                   'quorum p50 ms', 'async p99 ms', 'quorum p99 ms'])
    for clients, pipeline, _ in work:
        v, q = (middle(got[(clients, pipeline, concern)]) for concern in ('async', 'quorum'))
        share = q['ops'] / v['ops']
        out.append({'clients': clients, 'pipeline': pipeline, 'sync_us_added': a.sync_us, 'async': v,
                    'quorum': q, 'share': share})
        table.add(str(clients), str(pipeline), v['ops'], q['ops'], f'{share * 100:.0f} %', v['p50'], q['p50'],
                  v['p99'], q['p99'])
    for s in (primary, *replicas):
        s.drop()
    return table
