#!/usr/bin/python3
"""The scenarios against the live server, and random commands against it and redis-server side by side."""
import pathlib, sys

import harness

SCENARIOS = pathlib.Path(__file__).resolve().parents[1] / 'scenarios'
COMMANDS = 100_000 if harness.LONG else 8_000


class PeerTest(harness.Case):
    def script(self, name, *words, seconds=300):
        code, out, err = harness.run([sys.executable, str(SCENARIOS / name), *map(str, words)],
                                     seconds=seconds)
        self.assertEqual(0, code, out[-3000:] + err[-3000:])
        return (out.strip().splitlines() or [''])[-1]

    def peer(self):
        # The reference is always Debian's redis-server, whatever is under test.
        redis = harness.Server({'dir': '.', 'bind': '127.0.0.1'}, program='redis-server')
        self.addCleanup(redis.drop)
        return redis.start()

    def test_every_scenario_gets_the_replies_written_down(self):
        node = self.server({'enable-debug-command': 'local'})
        self.did(self.script('run.py', node.port))

    def test_the_scenarios_are_what_redis_server_answers(self):
        redis = harness.Server({'dir': '.', 'bind': '127.0.0.1', 'enable-debug-command': 'local'},
                               program='redis-server')
        self.addCleanup(redis.drop)
        self.did(self.script('run.py', redis.start().port))

    def test_random_commands_get_redis_servers_replies(self):
        node = self.server()
        self.did(self.script('differential.py', node.port, self.peer().port, COMMANDS, 7))


if __name__ == '__main__':
    harness.main()
