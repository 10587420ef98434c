"""A load whose outcome can be judged: what each client sent, in order, and how much of it was acknowledged.

A client owns its keys. After a crash the server must show, for each client, the state after some prefix of
what it sent that contains everything acknowledged: not one acknowledged change missing, and no later change
without the earlier.
"""
import random, threading, time

from harness import Conn, ReplyError, encode

KEYS = 24
PIPELINE = 16


class Model:
    """The keys of one client as a plain dict: name -> (value, expiry in ms or None)."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.keys = {}

    def apply(self, change):
        for command in change:
            self._one(*command)

    def _one(self, name, key, *args):
        old, expiry = self.keys.get(key, (None, None))
        if name == 'SET':
            self.keys[key] = (args[0], int(args[2]) if len(args) > 1 else None)
        elif name == 'APPEND':
            self.keys[key] = ((old or b'') + args[0], expiry)
        elif name == 'INCRBY':
            self.keys[key] = (b'%d' % (int(old or 0) + int(args[0])), expiry)
        elif name == 'DEL':
            self.keys.pop(key, None)
        elif name == 'PERSIST':
            if old is not None:
                self.keys[key] = (old, None)
        elif name == 'HSET':
            fields = dict(old or {})
            fields.update(zip(args[::2], args[1::2]))
            self.keys[key] = (fields, expiry)
        elif name == 'HDEL':
            fields = dict(old or {})
            fields.pop(args[0], None)
            if fields:
                self.keys[key] = (fields, expiry)
            else:
                self.keys.pop(key, None)
        else:
            raise AssertionError(name)


class Writer:
    """Sends changes in pipelines from a thread, until the connection breaks."""

    def __init__(self, port, number, seed):
        self.port, self.prefix = port, f'client{number}:'
        self.random = random.Random(seed)
        self.model = Model(self.prefix)   # after everything acknowledged
        self.in_doubt = []                # changes sent after that, in order
        self.count = self.acknowledged = self.refused = 0
        self.thread = None

    def draw(self):
        """A change: a list of commands that take effect together."""
        r, self.count = self.random, self.count + 1
        mark = b'%s%d:' % (self.prefix.encode(), self.count)
        key = lambda kind: f'{self.prefix}{kind}{r.randrange(KEYS)}'
        single = [
            lambda: ('SET', key('s'), mark + b'x' * r.choice((5, 60, 700, 5000))),
            lambda: ('SET', key('s'), mark, 'PXAT', str(4102444800000 + r.randrange(10 ** 9))),
            lambda: ('APPEND', key('a'), mark),
            lambda: ('INCRBY', key('n'), str(r.randrange(1000))),
            lambda: ('DEL', key(r.choice('sanh'))),
            lambda: ('PERSIST', key('s')),
            lambda: ('HSET', key('h'), f'f{r.randrange(300)}'.encode(), mark, b'last', mark),
            lambda: ('HDEL', key('h'), f'f{r.randrange(300)}'.encode()),
        ]
        if r.random() < 0.003:  # past the size of a frame's block, and of what a turn reads at once
            return [('SET', key('s'), mark + b'L' * r.choice((70000, 400000)))]
        if r.random() < 0.1:
            return [r.choice(single)() for _ in range(r.randrange(2, 5))]
        return [r.choice(single)()]

    @staticmethod
    def encode(change):
        if len(change) == 1:
            return encode(change[0]), 1
        return encode(['MULTI']) + b''.join(map(encode, change)) + encode(['EXEC']), len(change) + 2

    def run(self):
        try:
            with Conn(self.port, timeout=20) as c:
                while True:
                    batch = [self.draw() for _ in range(self.random.randrange(1, PIPELINE + 1))]
                    wire = [self.encode(change) for change in batch]
                    self.in_doubt = list(batch)
                    c.send(b''.join(w[0] for w in wire))
                    for change, (_, replies) in zip(batch, wire):
                        answers = [c.reply() for _ in range(replies)]
                        del self.in_doubt[0]
                        if isinstance(answers[-1], ReplyError):
                            self.refused += 1  # an error changes nothing
                            continue
                        self.model.apply(change)
                        self.acknowledged += 1
        except (OSError, ConnectionError):
            pass

    def start(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def join(self):
        self.thread.join(30)
        assert not self.thread.is_alive(), 'the client hangs although its server is gone'

    def read(self, c):
        """This client's keys as the server has them."""
        names = [f'{self.prefix}{kind}{i}' for kind in 'sanh' for i in range(KEYS)]
        out = {}
        for name, expiry in zip(names, c.pipe([('PEXPIRETIME', n) for n in names])):
            if expiry == -2:
                continue
            if name[len(self.prefix)] == 'h':
                flat = c.cmd('HGETALL', name)
                value = dict(zip(flat[::2], flat[1::2]))
            else:
                value = c.cmd('GET', name)
            out[name] = (value, None if expiry == -1 else expiry)
        return out

    def verify(self, c):
        """Checks the promise above, and goes on from what the server has. Returns how many in doubt had
        survived."""
        found = self.read(c)
        for survived in range(len(self.in_doubt) + 1):
            if self.model.keys == found:
                self.in_doubt = []
                return survived
            if survived < len(self.in_doubt):
                self.model.apply(self.in_doubt[survived])
        self_wrong = [k for k in set(found) | set(self.model.keys) if found.get(k) != self.model.keys.get(k)]
        k = sorted(self_wrong)[0]
        raise AssertionError(f'{self.prefix} no prefix fits ({len(self.in_doubt)} in doubt); e.g. {k}: '
                             f'server {str(found.get(k))[:120]}, should be '
                             f'{str(self.model.keys.get(k))[:120]}')


class Worker:
    """Submits tasks and works on them: claims, checkpoints, done. Every acknowledged step must be found
    again."""

    def __init__(self, port, number, seed):
        self.port, self.name = port, f'worker{number}'
        self.random = random.Random(seed)
        self.queue = f'queue-{self.name}'
        self.tasks = 0            # submitted, or tried
        self.submitted = {}       # task -> acknowledged?
        self.tokens = []          # every token that was handed out, in order
        self.step = {}            # run -> (step acknowledged, step sent)
        self.done = {}            # run -> acknowledged?
        self.acknowledged = 0
        self.claims = 0
        self.thread = None
        self.unexpected = None

    def run(self):
        try:
            with Conn(self.port, timeout=20) as c:
                while True:
                    self.one_task(c)
        except (OSError, ConnectionError):
            pass
        except BaseException as e:
            self.unexpected = e

    start, join = Writer.start, Writer.join

    def one_task(self, c):
        self.tasks += 1
        task = f'{self.name}-task{self.tasks}'
        self.submitted[task] = False
        run = c.cmd('TASK.SUBMIT', task, 'QUEUE', self.queue, 'UNIQUE', 'once', 'PAYLOAD', 'p:' + task)
        assert run == f'{task}#1'.encode(), run
        self.submitted[task] = True
        self.acknowledged += 1
        self.claims += 1
        got = c.cmd('TASK.CLAIM', 1, self.queue, 'WORKER', self.name, 'REQ', f'r{self.claims}', 'LEASE',
                    600000)
        if not got:
            return
        record = dict(zip(got[0][::2], got[0][1::2]))
        run, token = record[b'run'].decode(), record[b'token']
        self.tokens.append(int(token))
        self.acknowledged += 1
        acknowledged = self.step.get(run, (0, 0))[0]
        for step in range(acknowledged + 1, acknowledged + self.random.randrange(2, 5)):
            self.step[run] = (acknowledged, step)
            c.cmd('TASK.CHECKPOINT', run, token, step, self.payload(run, step))
            acknowledged = step
            self.step[run] = (step, step)
            self.acknowledged += 1
        if self.random.random() < 0.8:
            self.done[run] = False
            c.cmd('TASK.DONE', run, token)
            self.done[run] = True
            self.acknowledged += 1

    @staticmethod
    def payload(run, step):
        return b'%s at %d;' % (run.encode(), step) * 20

    def verify(self, c):
        if self.unexpected:
            raise self.unexpected
        rise = all(a < b for a, b in zip(self.tokens, self.tokens[1:]))
        assert rise, f'tokens did not rise: {self.tokens[-5:]}'
        names = list(self.submitted)[-200:]
        for task, record in zip(names, c.pipe([('TASK.GET', t) for t in names])):
            if isinstance(record, ReplyError) or record is None:
                assert not self.submitted[task], f'{task} was acknowledged and is gone: {record}'
                del self.submitted[task]
                continue
            self.submitted[task] = True
            fields = dict(zip(record[::2], record[1::2]))
            run = f'{task}#1'
            state = fields[b'state'].decode()
            if self.done.get(run):
                assert state == 'SUCCESS', f'{run} was acknowledged as done and is {state}'
            elif run not in self.done:
                assert state in ('PENDING', 'RUNNING'), f'{run} is {state} and nobody ended it'
            self.verify_step(c, run)

    def verify_step(self, c, run):
        acknowledged, sent = self.step.get(run, (0, 0))
        answer = c.pipe([('TASK.CHECKPOINTS', run)])[0]
        assert not isinstance(answer, ReplyError), f'{run}: {answer}'
        steps = [dict(zip(v[::2], v[1::2]))[b'step'] for v in answer]
        last = int(steps[-1]) if steps else 0
        assert acknowledged <= last <= sent, (
            f'{run}: checkpoint {acknowledged} was acknowledged, {sent} sent, {last} found')
        if not last:
            return
        version = dict(zip(answer[-1][::2], answer[-1][1::2]))[b'version']
        payload = c.cmd('TASK.PAYLOAD', run, 'VERSION', version)
        right = self.payload(run, last)
        assert payload == right, f'{run}: the payload of step {last} is wrong: {payload[:60]!r}'
        self.step[run] = (last, max(last, sent))


class Saver:
    """Asks for a snapshot now and then."""

    def __init__(self, port, seed):
        self.port, self.random, self.saves = port, random.Random(seed), 0
        self.thread = None

    def run(self):
        try:
            with Conn(self.port, timeout=20) as c:
                while True:
                    time.sleep(self.random.uniform(0.02, 0.4))
                    self.saves += not isinstance(c.pipe([('BGSAVE',)])[0], ReplyError)
        except (OSError, ConnectionError):
            pass

    start, join = Writer.start, Writer.join
