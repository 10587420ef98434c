#!/usr/bin/python3
"""Servers that follow one another over a link that is cut, damaged, slow, silent or held to a rate."""
import os, re, time

import harness
from following import Link, ReplicationCase, fill, info, stat
from harness import wait_until


class LinkTest(ReplicationCase):
    def link(self, primary):
        link = Link(primary.port)
        self.addCleanup(link.end)
        return link

    def test_a_stream_that_is_cut_or_damaged_anywhere_goes_on_in_part(self):
        primary = self.primary()
        link = self.link(primary)
        replica = self.replica(link.port)
        self.same(primary, replica)
        c = self.connect(primary)
        for at in (5, 40, 150, 3000, 50_000):
            for what in ('cut_at', 'flip_at'):
                setattr(link, what, at)
                link_before = link.connections
                self.connect(replica).cmd('CLIENT', 'KILL', 'TYPE', 'master')
                wait_until('it dials', lambda: link.connections > link_before)
                fill(c, 100, size=600)
                wait_until(f'{what} {at} happened', lambda: getattr(link, what) is None)
                self.same(primary, replica)
        self.assertIn('damaged', replica.log())
        self.assertEqual(1, self.full_syncs(primary))
        self.did(f'{link.connections} connections, one full sync, equal digests each time')

    def test_a_snapshot_that_is_cut_or_damaged_on_the_way_is_fetched_again(self):
        primary = self.primary()
        c = self.connect(primary)
        fill(c, 3000, size=500)
        link = self.link(primary)
        for what, at in (('cut_at', 500), ('cut_at', 300_000), ('flip_at', 150), ('flip_at', 700_000)):
            setattr(link, what, at)
            replica = self.replica(link.port)
            self.same(primary, replica)
            self.assertIsNone(getattr(link, what))
            self.assertEqual([], [n for n in os.listdir(replica.data) if n.startswith('full-')])
            self.assertEqual(0, replica.stop())
            self.check(replica.data)
        self.did(f'4 ways, {link.connections} connections, sound folders')

    def test_a_slow_replica_is_fed_from_disk_at_its_own_pace(self):
        primary = self.primary({'log-segment-bytes': '1mb'})
        link = self.link(primary)
        replica = self.replica(link.port)
        self.same(primary, replica)
        c = self.connect(primary)
        rss = lambda: int(open(f'/proc/{primary.pid}/status').read().split('VmRSS:')[1].split()[0])
        c.cmd('SET', 'x', b'y' * 4_000_000)
        before = rss()
        link.rate = 4_000_000
        for i in range(16):
            c.cmd('SET', 'x', os.urandom(1_000_000))
        lag = int(re.search(r'lag_bytes=(\d+)', info(c)['slave0']).group(1))
        self.assertGreater(lag, 4_000_000)
        grown = rss() - before
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        self.assertLess(grown, 20_000)
        self.did(f'{lag >> 20} MB behind at once, memory of the primary + {grown >> 10} MB, caught up, no '
                 f'full sync')

    def test_a_silent_link_is_given_up_by_both_ends_and_made_again(self):
        primary = self.primary({'repl-timeout': 1})
        link = self.link(primary)
        replica = self.replica(link.port, {'repl-timeout': 1})
        self.same(primary, replica)
        link.silent = True
        self.error_says(replica, 'repl-timeout')
        wait_until('the primary gives it up', lambda: stat(primary, 'connected_slaves', 'replication') == '0',
                   5)
        self.connect(primary).cmd('SET', 'a', 1)
        link.silent = False
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        self.did('both say repl-timeout; partial afterwards')

    def test_the_rate_is_what_was_asked_for(self):
        primary = self.primary({'replication-max-bytes-per-second': '4mb'})
        c = self.connect(primary)
        fill(c, 8000, size=1000)
        since = time.monotonic()
        replica = self.replica(primary)
        self.same(primary, replica)
        took = time.monotonic() - since
        rate = 8000 * 1008 / took / 1e6
        self.assertLess(rate, 5.5)
        self.assertGreater(rate, 2.0)
        self.did(f'8 MB in {took:.2f} s: {rate:.1f} MB/s of the 4.2 MB/s allowed')

    def test_a_low_rate_is_no_silence(self):
        primary = self.primary({'replication-max-bytes-per-second': 100_000, 'repl-timeout': 1})
        c = self.connect(primary)
        fill(c, 250, size=1000)
        replica = self.replica(primary, {'repl-timeout': 1})
        self.same(primary, replica)
        c.cmd('SET', 'large', os.urandom(250_000))
        self.same(primary, replica)
        self.assertEqual(1, self.full_syncs(primary))
        self.assertNotIn('No link', replica.log())
        self.did('250 KB of snapshot and 250 KB of log at 100 KB/s with repl-timeout 1: one connection')


if __name__ == '__main__':
    harness.main()
