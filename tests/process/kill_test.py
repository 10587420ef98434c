#!/usr/bin/python3
"""kill -9 under load, again and again, with every policy: everything acknowledged is there after each
start."""
import os, random, time

import harness
from load import Saver, Worker, Writer

KILLS = 34 if harness.LONG else 3   # a policy; three policies make a hundred
CLIENTS = 4
SEED = int(os.environ.get('HOLDFAST_SEED', '1'))


class KillTest(harness.Case):
    def kill_loop(self, policy):
        server = self.server({'appendfsync': policy, 'log-segment-bytes': '1mb'} if not harness.IS_REDIS else
                             {'appendfsync': policy})
        draw = random.Random(f'{SEED} {policy}')
        writers = [Writer(server.port, i, f'{SEED} {policy} {i}') for i in range(CLIENTS)]
        workers = [] if harness.IS_REDIS else [Worker(server.port, i, f'{SEED} {policy} w{i}')
                                               for i in range(2)]
        saver = Saver(server.port, f'{SEED} {policy} s')
        survived = slowest = 0
        for _ in range(KILLS):
            for actor in [*writers, *workers, saver]:
                actor.start()
            time.sleep(draw.uniform(0.2, 0.9))
            server.kill()
            for actor in [*writers, *workers, saver]:
                actor.join()
            since = time.monotonic()
            server.start()
            slowest = max(slowest, time.monotonic() - since)
            with server.connect() as c:
                for writer in writers:
                    survived += writer.verify(c)
                for worker in workers:
                    worker.verify(c)
        changes = sum(w.acknowledged for w in writers)
        steps = sum(w.acknowledged for w in workers)
        self.assertEqual(0, sum(w.refused for w in writers))
        self.assertGreater(changes, 100)
        if workers:
            self.assertGreater(steps, 10)
        self.did(f'{KILLS} kills; {changes} changes and {steps} task steps acknowledged, none lost; '
                 f'{survived} in doubt '
                 f'survived; {saver.saves} snapshots asked; slowest start {slowest:.2f} s')

    def test_kill_9_loses_nothing_acknowledged_with_appendfsync_always(self):
        self.kill_loop('always')

    def test_kill_9_loses_nothing_acknowledged_with_appendfsync_everysec(self):
        self.kill_loop('everysec')

    def test_kill_9_loses_nothing_acknowledged_with_appendfsync_no(self):
        self.kill_loop('no')

    def test_a_restart_in_the_middle_of_loading_loses_nothing(self):
        server = self.server({'appendfsync': 'no'})
        writer = Writer(server.port, 0, f'{SEED} loading')
        writer.start()
        time.sleep(1.0)
        server.kill()
        writer.join()
        draw = random.Random(f'{SEED} loading')
        for _ in range(6):
            server.launch()
            time.sleep(draw.uniform(0.0, 0.08))
            server.kill()
        server.start()
        with server.connect() as c:
            writer.verify(c)
        self.did(f'6 kills within the first 80 ms of a start; {writer.acknowledged} changes all there')

    def test_a_clean_end_under_load_loses_nothing_and_tears_nothing(self):
        server = self.server({'appendfsync': 'no'})
        writers = [Writer(server.port, i, f'{SEED} term {i}') for i in range(CLIENTS)]
        blocked = None
        draw = random.Random(f'{SEED} term')
        for _ in range(3):
            for writer in writers:
                writer.start()
            if not harness.IS_REDIS:  # a client that waits must not keep it from ending
                blocked = self.connect(server, timeout=20)
                blocked.send(harness.encode(['TASK.CLAIM', 1, 'empty', 'WORKER', 'w', 'BLOCK', 0]))
            time.sleep(draw.uniform(0.2, 0.5))
            self.assertEqual(0, server.stop())
            for writer in writers:
                writer.join()
            server.start()
            with server.connect() as c:
                for writer in writers:
                    writer.verify(c)
        if not harness.IS_REDIS:
            self.assertNotIn('rescue', os.listdir(server.data))
        self.did(f'3 times SIGTERM, exit 0; {sum(w.acknowledged for w in writers)} changes acknowledged, '
                 f'none lost, nothing torn')


if __name__ == '__main__':
    harness.main()
