#!/usr/bin/python3
"""kill -9 of either side of a replication, again and again, under pipelined load: a partial sync each time,
nothing acknowledged lost by the primary, equal digests at the end."""
import os, random, time

import harness
from following import ReplicationCase, stat
from load import Saver, Worker, Writer

KILLS = 100 if harness.LONG else 10
CLIENTS = 3
SEED = int(os.environ.get('HOLDFAST_SEED', '1'))


def parted(replica):
    """What the replica cut off because the primary had something else in its place. A frame that kill -9
    stopped in the middle of its write is rescued too, as <ms>-<segment>-from-<byte>: that one never was in
    the log."""
    cuts = [line for line in replica.log().splitlines() if 'the log is cut back' in line]
    folder = os.path.join(replica.data, 'rescue')
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return cuts + [name for name in names if '-from-' not in name]


class ReplicationKillTest(ReplicationCase):
    def rounds(self, victims, kills=KILLS):
        """`victims(draw)` says who is killed in a round: any of 'primary', 'replica'."""
        name = self.id().split('.')[-1]
        draw = random.Random(f'{SEED} {name}')
        flags = {'appendfsync': draw.choice(['no', 'everysec']), 'log-segment-bytes': '1mb'}
        primary = self.primary(flags)
        replica = self.replica(primary, flags)
        self.same(primary, replica)
        writers = [Writer(primary.port, i, f'{SEED} {name} {i}') for i in range(CLIENTS)]
        workers = [Worker(primary.port, 0, f'{SEED} {name} w')]
        saver = Saver(primary.port, f'{SEED} {name} s')
        servers = {'primary': primary, 'replica': replica}
        slowest = killed = 0
        for _ in range(kills):
            for actor in [*writers, *workers, saver]:
                actor.start()
            time.sleep(draw.uniform(0.05, 0.3))
            chosen = victims(draw)
            if 'primary' not in chosen:
                # Writes go on while the replica is away; then everybody stops with the primary, for a state
                # to compare.
                replica.kill()
                time.sleep(draw.uniform(0.0, 0.1))
                replica.launch()
                time.sleep(draw.uniform(0.0, 0.15))
                chosen = ('primary',)
                killed += 1
            for who in chosen:
                servers[who].kill()
                killed += 1
            for actor in [*writers, *workers, saver]:
                actor.join()
            since = time.monotonic()
            for who in chosen:
                servers[who].start()
            self.same(primary, replica, seconds=30)
            slowest = max(slowest, time.monotonic() - since)
            with primary.connect() as c:
                for actor in writers + workers:
                    actor.verify(c)
            self.assertEqual('0', stat(primary, 'sync_full'), primary.log()[-1500:])
        self.assertEqual(1, primary.log().count(': full sync:'))
        self.assertEqual(1, replica.log().count('Full sync from'))
        self.assertEqual([], parted(replica), replica.log()[-1500:])
        self.end_sound(primary, replica)
        changes = sum(a.acknowledged for a in writers + workers)
        self.assertGreater(changes, 100)
        self.did(f'{killed} kills; {changes} changes acknowledged, none lost; no full sync, equal digests '
                 f'each time; same again '
                 f'{slowest:.2f} s after the start at most')

    def test_the_primary_killed_again_and_again(self):
        self.rounds(lambda draw: ('primary',))

    def test_the_replica_killed_while_writes_go_on(self):
        self.rounds(lambda draw: ('replica',))

    def test_both_killed_at_once_in_either_order(self):
        self.rounds(lambda draw: draw.choice([('primary', 'replica'), ('replica', 'primary')]),
                    kills=KILLS // 2)


if __name__ == '__main__':
    harness.main()
