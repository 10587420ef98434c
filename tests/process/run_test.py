#!/usr/bin/python3
"""`holdfast-cli run` from end to end, against a real server: whatever is killed, the work comes back; and the
prompt."""
import hashlib, os, pty, select, signal, subprocess, time

import harness

STEPS = 12
PYTHON = '/usr/bin/python3'

# Twelve steps, one line of the result each, a checkpoint after each. What every start found goes to a diary
# of its own.
JOB = '''
import os, sys, time
sys.path.insert(0, %r)
import holdfast
home, pause = sys.argv[1], float(sys.argv[2])
path = holdfast.restore()
lines = open(path).read().splitlines() if path else []
with open(home + '/diary', 'a') as diary:
    diary.write('%%d\\n' %% len(lines))
with open(home + '/pid.new', 'w') as out:
    out.write(str(os.getpid()))
os.rename(home + '/pid.new', home + '/pid')
for n in range(len(lines), %d):
    lines.append('line %%d' %% n)
    with holdfast.save(n + 1) as out:
        open(out, 'w').write('\\n'.join(lines))
    time.sleep(pause)
open(home + '/result', 'w').write('\\n'.join(lines))
''' % (os.path.join(harness.ROOT, 'utils', 'python'), STEPS)


class Job:
    """The job above as a command, with the files it leaves."""

    def __init__(self, server, task, pause=0.04):
        self.server, self.task, self.home = server, task, harness.temp_dir()
        script = os.path.join(self.home, 'job.py')
        with open(script, 'w') as f:
            f.write(JOB)
        self.program = [PYTHON, script, self.home, str(pause)]

    def command(self, *options, folder='run'):
        return [harness.CLI, 'run', '-p', str(self.server.port), '--task', self.task, '--dir',
                os.path.join(self.home, folder),
                '--backoff', 'fixed,50ms', '--lease', '2s', *options, '--', *self.program]

    def launch(self, *options, **more):
        return subprocess.Popen(self.command(*options, **more), stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, preexec_fn=harness.die_with_parent)

    def read(self, name):
        try:
            with open(os.path.join(self.home, name)) as f:
                return f.read()
        except FileNotFoundError:
            return ''

    def starts(self):
        return [int(n) for n in self.read('diary').split()]

    def complete(self):
        return self.read('result') == '\n'.join(f'line {n}' for n in range(STEPS))

    def saved(self):
        """The last step that the server has."""
        with self.server.connect() as c:
            answer = c.pipe([('TASK.CHECKPOINTS', self.task)])[0]
            if isinstance(answer, harness.ReplyError) or not answer:
                return 0
            last = answer[-1]
            return int(dict(zip(last[::2], last[1::2]))[b'step'])


class RunTest(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.node = harness.Server().start()
        cls.addClassCleanup(cls.node.drop)

    def record(self, task):
        with self.node.connect() as c:
            flat = c.cmd('TASK.GET', task)
            return dict(zip(flat[::2], flat[1::2]))

    def state(self, task):
        return self.record(task)[b'state'].decode()

    def shell(self, task, script, *options, folder=None, code=0, port=None):
        """Runs a line of shell under the wrapper; returns (stdout, stderr)."""
        command = [harness.CLI, 'run', '-p', str(port or self.node.port), '--task', task, *options,
                   '--dir', folder or os.path.join(harness.temp_dir(), 'run'), '--', '/bin/sh', '-c', script]
        got, out, err = harness.run(command, env={'CLI': harness.CLI})
        self.assertEqual(code, got, out + err)
        return out, err

    def ended(self, process, seconds=20):
        _, err = process.communicate(timeout=seconds)
        return process.returncode, err.decode()

    # ---- ends

    def test_a_success_is_exit_0(self):
        out, _ = self.shell('fine', 'echo "$HOLDFAST_RUN $HOLDFAST_ATTEMPT $HOLDFAST_STEP"')
        self.assertEqual('fine#1 1 0\n', out)
        self.assertEqual('SUCCESS', self.state('fine'))

    def test_a_failure_is_tried_again_and_then_ends_with_the_programs_code(self):
        out, err = self.shell('failing', 'echo once; exit 7', '--retries', '2', '--backoff',
                              'exponential,50ms,100ms', code=7)
        self.assertEqual('once\n' * 3, out)
        self.assertEqual('FAILED', self.state('failing'))
        self.assertIn(b'no attempt left after 2 retries', self.record('failing')[b'reason'])
        self.shell('for-good', 'exit 9', '--permanent-exit-codes', '9', code=9)
        self.assertEqual('FAILED', self.state('for-good'))
        code, _, err = harness.run([harness.CLI, 'run', '-p', str(self.node.port), '--task', 'no-program',
                                    '--dir',
                                    os.path.join(harness.temp_dir(), 'run'), '--', '/no/such/program'])
        self.assertEqual(127, code, err)
        self.assertNotIn('goes on from its last checkpoint', err)
        self.did('three attempts, exit 7, FAILED; 9 ends it at once; 127 for a program that is not there')

    def test_no_server_is_69_and_a_forgotten_name_is_2(self):
        self.shell('x', 'true', code=69, port=harness.free_port())
        code, _, err = harness.run([harness.CLI, 'run', '--task', '--', 'echo', 'hi'])
        self.assertEqual(2, code, err)

    # ---- kills

    def killed(self, task, kill):
        """Runs a job, calls kill(job, wrapper) once five steps are saved, and sees the work to its end."""
        job = Job(self.node, task)
        wrapper = job.launch()
        harness.wait_until('five steps', lambda: job.saved() >= 5)
        wrapper = kill(job, wrapper) or wrapper
        code, err = self.ended(wrapper)
        self.assertEqual(0, code, err)
        self.assertTrue(job.complete(), job.read('result'))
        self.assertEqual('SUCCESS', self.state(task))
        return job.starts()

    def test_the_program_is_killed(self):
        starts = self.killed('kill-program',
                             lambda job, wrapper: os.kill(int(job.read('pid')), signal.SIGKILL))
        self.assertEqual(2, len(starts))
        self.assertGreaterEqual(starts[1], 5)
        self.did(f'went on from step {starts[1]} of {STEPS}')

    def test_the_wrapper_is_killed(self):
        def kill(job, wrapper):
            wrapper.kill()
            self.ended(wrapper)
            return job.launch()
        starts = self.killed('kill-wrapper', kill)
        self.assertEqual(2, len(starts))
        self.assertGreaterEqual(starts[1], 5)
        self.did(f'went on from step {starts[1]} of {STEPS}')

    def test_the_server_is_killed(self):
        def kill(job, wrapper):
            self.node.kill()
            self.node.start()
        starts = self.killed('kill-server', kill)
        self.assertEqual([0], starts)
        self.did('the program never noticed')

    def test_program_wrapper_and_server_are_killed_at_once(self):
        def kill(job, wrapper):
            os.kill(int(job.read('pid')), signal.SIGKILL)
            wrapper.kill()
            self.node.kill()
            self.ended(wrapper)
            self.node.start()
            return job.launch()
        starts = self.killed('kill-all', kill)
        self.assertEqual(2, len(starts))
        self.assertGreaterEqual(starts[1], 5)
        self.did(f'went on from step {starts[1]} of {STEPS}')

    # ---- given back

    def test_TERM_gives_the_run_back_with_75(self):
        """TERM gives the run back with 75, even when the program then ends with 0"""
        job = Job(self.node, 'stopped', pause=0.1)
        wrapper = job.launch()
        harness.wait_until('two steps', lambda: job.saved() >= 2)
        wrapper.terminate()
        code, err = self.ended(wrapper)
        self.assertEqual(75, code, err)
        self.assertEqual('PENDING', self.state('stopped'))
        self.assertFalse(job.complete())
        folder = harness.temp_dir()
        polite = subprocess.Popen([harness.CLI, 'run', '-p', str(self.node.port), '--task', 'polite', '--dir',
                                   folder, '--', '/bin/sh',
                                   '-c', 'trap "exit 0" TERM; touch "$HOLDFAST_DIR/tmp/up"; '
                                         'while :; do sleep 0.02; done'],
                                  stderr=subprocess.PIPE, preexec_fn=harness.die_with_parent)
        harness.wait_until('the program', lambda: os.path.exists(os.path.join(folder, 'tmp', 'up')))
        polite.terminate()
        code, err = self.ended(polite)
        self.assertEqual(75, code, err)
        self.assertEqual('PENDING', self.state('polite'))
        again = job.launch()
        code, err = self.ended(again)
        self.assertEqual(0, code, err)
        self.assertTrue(job.complete())
        self.assertGreaterEqual(job.starts()[1], 2)
        self.did(f'PENDING twice; the same command then went on from step {job.starts()[1]}')

    def test_a_second_wrapper_waits_and_says_for_whom(self):
        job = Job(self.node, 'wanted', pause=0.15)
        first = job.launch('--worker', 'first')
        harness.wait_until('a step', lambda: job.saved() >= 1)
        for folder in ('run', 'elsewhere'):
            code, _, err = harness.run(job.command('--no-wait', folder=folder))
            self.assertEqual(75, code, err)
        second = job.launch(folder='elsewhere')
        since = time.monotonic()
        self.assertTrue(select.select([second.stderr], [], [], 5)[0])
        line, took = second.stderr.readline().decode(), time.monotonic() - since
        self.assertIn('is held by worker first', line)
        self.assertLess(took, 1.0)
        self.assertEqual(0, self.ended(first)[0])
        self.assertEqual(0, self.ended(second)[0])
        self.assertEqual([0], job.starts())
        self.did(f'named the holder after {took * 1000:.0f} ms; --no-wait is 75')

    def test_once_and_fresh(self):
        self.shell('again', 'true', '--once')
        self.assertEqual('', self.shell('again', 'echo ran', '--once')[0])
        self.assertEqual('ran\n', self.shell('again', 'echo ran')[0])
        folder = os.path.join(harness.temp_dir(), 'run')
        save = (f'cd {harness.temp_dir()}; echo x > x.$$; "$CLI" checkpoint x.$$ --step 4 --sync; rm x.$$; '
                f'echo "$HOLDFAST_STEP"; exit 75')
        self.assertEqual('0\n', self.shell('anew', save, folder=folder, code=75)[0])
        self.assertEqual('4\n',
                         self.shell('anew', 'echo "$HOLDFAST_STEP"; exit 75', folder=folder, code=75)[0])
        out, _ = self.shell('anew', 'echo "$HOLDFAST_STEP"; test ! -e "$HOLDFAST_DIR/checkpoint"', '--fresh',
                            folder=folder)
        self.assertEqual('0\n', out)
        self.assertEqual(b'anew#2', self.record('anew')[b'run'])

    # ---- checkpoints

    def test_a_checkpoint_of_3_MB_through_the_store(self):
        home = harness.temp_dir()
        store, sums = os.path.join(home, 'store'), []
        for n in (1, 2):
            content = os.urandom(3_000_000)
            sums.append(hashlib.sha256(content).hexdigest())
            with open(os.path.join(home, f'part{n}'), 'wb') as f:
                f.write(content)
        save = (f'"$CLI" checkpoint {home}/part1 --step 1 --sync && '
                f'"$CLI" checkpoint {home}/part2 --step 2 --sync; exit 75')
        look = 'sha256sum < "$HOLDFAST_DIR/checkpoint"; exit 75'
        self.shell('large', save, '--store', store, code=75)
        out, _ = self.shell('large', look, '--store', store, code=75)  # every call has a --dir of its own
        self.assertEqual(sums[1], out.split()[0])
        with open(os.path.join(store, 'large', '1', 'version-2', 'data'), 'r+b') as f:
            f.seek(1_500_000)
            byte = f.read(1)
            f.seek(1_500_000)
            f.write(bytes([byte[0] ^ 1]))
        out, err = self.shell('large', look, '--store', store, code=65)
        self.assertEqual('', out)
        self.assertIn('version-2/data is not what was saved', err)
        self.assertNotIn('goes on from its last checkpoint', err)
        out, err = self.shell('large', look, '--store', store, '--fallback', code=75)
        self.assertEqual(sums[0], out.split()[0])
        self.assertEqual(1, err.count('is not what was saved'), err)
        self.did('equal sum in another folder; one bit flipped: 65; --fallback: the version before')

    def test_links_and_modes_come_back(self):
        home = harness.temp_dir()
        state = os.path.join(home, 'state')
        os.mkdir(state, 0o700)
        with open(os.path.join(state, 'key'), 'w') as f:
            f.write('secret')
        os.chmod(os.path.join(state, 'key'), 0o600)
        os.symlink('key', os.path.join(state, 'latest'))
        os.symlink('gone', os.path.join(state, 'dangling'))
        self.shell('linked', f'"$CLI" checkpoint {state} --step 1 --sync && exit 75', code=75)
        look = 'cd "$HOLDFAST_DIR/checkpoint" && stat -c %a . key ../../run && readlink latest dangling'
        out, _ = self.shell('linked', look)
        self.assertEqual(['700', '600', '700', 'key', 'gone'], out.split())
        os.symlink('/etc/hostname', os.path.join(state, 'out'))
        _, err = self.shell('leading-out', f'"$CLI" checkpoint {state} --step 1', '--retries', '0', code=1)
        self.assertIn('/out -> /etc/hostname leads out of the checkpoint', err)
        self.did('0600 and 0700 kept, links kept, one that leads out refused by name')

    # ---- the prompt

    def test_the_prompt_takes_any_text_and_shows_tasks(self):
        for number, locale in enumerate(('C', 'C.UTF-8')):
            with self.node.connect() as c:
                c.cmd('TASK.SUBMIT', f'seen-{number}')
            home = harness.temp_dir()
            pid, fd = pty.fork()
            if pid == 0:
                os.environ.update(TERM='xterm', LC_ALL=locale, HOME=home)
                os.execv(harness.CLI, [harness.CLI, '-p', str(self.node.port)])
            try:
                self.talk(fd, '', b'> ')
                self.talk(fd, f'set uni{number} Zoë日本€🙂\r', b'OK')
                seen = self.talk(fd, 'task ls seen*\r', b'PENDING')
                self.assertIn(f'seen-{number}#1'.encode(), seen)
            finally:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                os.close(fd)
            with self.node.connect() as c:
                self.assertEqual('Zoë日本€🙂', c.cmd('GET', f'uni{number}').decode(), locale)
        self.did('two, three and four bytes a character, in the locales C and C.UTF-8')

    @staticmethod
    def talk(fd, words, until, seconds=5):
        for byte in words.encode():
            os.write(fd, bytes([byte]))
            time.sleep(0.005)
        seen, end = b'', time.monotonic() + seconds
        while time.monotonic() < end and until not in seen:
            if select.select([fd], [], [], 0.1)[0]:
                seen += os.read(fd, 4096)
        return seen


if harness.IS_REDIS:
    del RunTest

if __name__ == '__main__':
    harness.main()
