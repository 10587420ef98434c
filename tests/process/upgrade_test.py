#!/usr/bin/python3
"""utils/rolling-upgrade on three servers under load: no client's operation fails."""
import os, re, subprocess, sys

import harness

TOOL = os.path.join(harness.ROOT, 'utils', 'rolling-upgrade') if hasattr(harness, 'ROOT') else \
    os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'utils', 'rolling-upgrade')


class UpgradeTest(harness.Case):
    def test_three_servers_are_restarted_under_load_and_no_operation_fails(self):
        code, out, err = harness.run([sys.executable, str(TOOL), '--demo', '--rounds', '2'])
        self.assertEqual(0, code, out + err)
        done, failed = map(int, re.search(r'(\d+) operations .*?(\d+) failed', out).groups())
        self.assertEqual(0, failed)
        self.assertGreater(done, 50)
        self.did(out.strip().splitlines()[-1])

    def test_it_says_what_stands_in_the_way(self):
        node = self.server()
        code, out, err = harness.run(
            [sys.executable, str(TOOL), '--restart', 'true', f'127.0.0.1:{node.port}'])
        self.assertEqual(1, code, out + err)
        self.assertIn('has no replica to give its role to', err)
        code, out, err = harness.run([sys.executable, str(TOOL)])
        self.assertEqual(2, code, out + err)
        self.did('no replica: 1; no address: 2')


if __name__ == '__main__':
    harness.main()
