#!/usr/bin/python3
"""Servers that follow one another where the disk of one of them has no room."""
import os, time

import harness
from disk_test import build_shim
from following import ReplicationCase, fill, info, state
from harness import ReplyError, wait_until


class DiskTest(ReplicationCase):
    """The shim of disk_test.py: a disk without room, for one of the two."""

    def shim(self):
        folder = harness.temp_dir()
        order = os.path.join(folder, 'order')
        env = {'LD_PRELOAD': build_shim(folder), 'HOLDFAST_SHIM': order,
               'HOLDFAST_SHIM_DIR': os.path.join(folder, 'data')}

        def tell(words):
            with open(order + '.new', 'w') as f:
                f.write(words)
            os.replace(order + '.new', order)
        return tell, {'folder': folder, 'env': env}

    def test_a_full_disk_of_the_replica_stops_nobody_else_and_heals(self):
        tell, where = self.shim()
        primary = self.primary()
        replica = self.replica(primary, **where)
        c = self.connect(primary)
        fill(c, 100)
        self.same(primary, replica)
        tell('room 20000')
        fill(c, 2000, name='more')
        wait_until('its log says so', lambda: 'No space left' in replica.log())
        self.assertEqual(2100, c.cmd('DBSIZE'))
        self.assertLess(int(info(self.connect(replica))['replica_synced_offset']), int(state(primary)[1]))
        tell('')
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        replica.kill()
        replica.start()
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        self.did('the primary writes on; caught up when there was room, no full sync; so behind a kill -9')

    def test_a_snapshot_that_finds_no_room_is_fetched_again(self):
        tell, where = self.shim()
        primary = self.primary()
        fill(self.connect(primary), 3000, size=500)
        tell('room 600000')
        replica = self.replica(primary, start=False, **where).start()
        self.error_says(replica, 'No space left')
        tell('')
        self.same(primary, replica)
        self.did('names the reason; heals by itself')

    def test_a_full_disk_of_the_primary_leaves_both_the_same(self):
        tell, where = self.shim()
        primary = self.primary(**where)
        replica = self.replica(primary)
        c = self.connect(primary)
        fill(c, 100)
        self.same(primary, replica)
        tell('room 20000')
        filler = self.connect(primary)  # what found no room is answered when there is some
        filler.send(b''.join(harness.encode(['SET', f'more:{i}', os.urandom(200)]) for i in range(2000)))
        # A write sent before the failure is known would be one of those that it catches, and wait with them.
        wait_until('the failure is known',
                   lambda: b'aof_last_write_status:err' in c.cmd('INFO', 'persistence'))
        wait_until('writes are refused', lambda: isinstance(c.pipe([('SET', 'x', 1)])[0], ReplyError))
        time.sleep(0.3)
        self.assertEqual('up', state(replica)[0])
        tell('')
        wait_until('writes go on', lambda: not isinstance(c.pipe([('SET', 'x', 1)])[0], ReplyError))
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        self.did('the link stays, nothing unwritten is sent ahead; the same when there was room')


if __name__ == '__main__':
    harness.main()
