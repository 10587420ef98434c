#!/usr/bin/python3
"""Moving from a real redis-server without downtime: its data set in full, then its commands; on from the same
place after kill -9 of Holdfast; promoted, it has everything; what Holdfast does not hold is named, never
passed over."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenarios"))
import redis

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]


def until(check, seconds=20):
    end = time.time() + seconds
    while True:
        try:
            value = check()
            if value:
                return value
        except redis.exceptions.RedisError:
            pass
        if time.time() > end:
            raise AssertionError("it did not come about within %d s" % seconds)
        time.sleep(0.02)


class Migration(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="holdfast-migration-")
        self.running = []
        self.redis_port, self.own_port = harness.free_port(), harness.free_port()
        self.start("redis",
                   ["redis-server", "--port", str(self.redis_port), "--save", "", "--bind", "127.0.0.1",
                             "--repl-diskless-sync-delay", "0"])
        self.source = redis.Redis(port=self.redis_port, socket_timeout=20)
        until(self.source.ping)

    def tearDown(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.folder)

    def start(self, name, command):
        folder = os.path.join(self.folder, name)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with open(folder + ".log", "a") as out:
            process = subprocess.Popen(command + ["--dir", folder], stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT)
        self.running.append(process)
        return process

    def follow(self):
        process = self.start("own",
                             [str(ROOT / "bin/holdfast-server"), "--port", str(self.own_port), "--replicaof",
                                     "127.0.0.1 %d" % self.redis_port])
        own = redis.Redis(port=self.own_port, socket_timeout=20)
        until(lambda: own.info("replication")["master_link_status"] == "up")
        return process, own

    def same(self, own):
        for db in (0, 3):
            a = redis.Redis(port=self.redis_port, db=db)
            b = redis.Redis(port=self.own_port, db=db)
            self.assertEqual(a.dbsize(), b.dbsize())
            for key in a.scan_iter(count=1000):
                if a.type(key) == b"hash":
                    self.assertEqual(a.hgetall(key), b.hgetall(key), key)
                else:
                    self.assertEqual(a.get(key), b.get(key), key)
                self.assertEqual(a.execute_command("PEXPIRETIME", key), b.execute_command("PEXPIRETIME", key),
                                 key)

    def test_a_move_without_downtime(self):
        pipe = self.source.pipeline(transaction=False)
        for i in range(5000):
            pipe.set("key:%d" % i, "value-%d" % i * (i % 40))
        pipe.hset("small", mapping={"a": 1, "b": "two"})
        pipe.hset("large", mapping={"field:%d" % i: "v" * (i % 100) for i in range(2000)})
        pipe.set("number", 12345)
        pipe.set("soon", "x", px=600000)
        pipe.execute()
        redis.Redis(port=self.redis_port, db=3).set("elsewhere", "y", ex=100)
        process, own = self.follow()
        until(lambda: own.dbsize() == self.source.dbsize())
        self.assertEqual(own.execute_command("ROLE")[0], b"slave")
        with self.assertRaises(redis.exceptions.ReadOnlyError):
            own.set("a", "b")
        with self.source.pipeline() as transaction:
            transaction.set("in", "one").delete("key:1")
            transaction.hincrbyfloat("small", "pi", 3.25).incrbyfloat("number", 0.5)
            transaction.execute()
        self.source.rename("key:2", "key:two")
        self.source.expire("key:3", 1000)
        self.assertEqual(self.source.wait(1, 5000), 1)
        until(lambda: own.get("key:two"))
        self.same(own)
        # Who moves compares the two, as between two Redises.
        until(lambda: own.info("replication")["slave_repl_offset"]
              == self.source.info("replication")["master_repl_offset"])
        self.assertGreaterEqual(own.execute_command("ROLE")[4], own.info("replication")["slave_repl_offset"])

        time.sleep(1.2)  # the place in the stream is noted once a second
        process.kill()
        process.wait()
        self.source.set("while", "away")
        process, own = self.follow()
        until(lambda: own.get("while") == b"away")
        self.same(own)
        text = pathlib.Path(self.folder, "own.log").read_text()
        self.assertEqual(text.count("in full from its offset"), 1, text)

        self.assertTrue(own.execute_command("REPLICAOF", "NO", "ONE"))
        self.assertTrue(own.set("mine", "now"))
        self.assertEqual(own.get("key:77"), self.source.get("key:77"))
        process.terminate()
        self.assertEqual(process.wait(20), 0)

    def test_the_data_set_that_was_here_serves_until_that_of_the_redis_is_loaded(self):
        pipe = self.source.pipeline(transaction=False)
        for i in range(150_000):
            pipe.set("key:%d" % i, "new" + os.urandom(30).hex())
        pipe.execute()
        command = [str(ROOT / "bin/holdfast-server"), "--port", str(self.own_port)]
        process = self.start("own", command)
        own = redis.Redis(port=self.own_port, socket_timeout=20)
        until(own.ping)
        pipe = own.pipeline(transaction=False)
        for i in range(20_000):
            pipe.set("key:%d" % i, "old")
        pipe.execute()
        reader, seen = redis.Redis(port=self.own_port, socket_timeout=20), []
        own.execute_command("REPLICAOF", "127.0.0.1", self.redis_port)
        end = time.time() + 30
        while time.time() < end and seen[-1:] != [b"new"]:
            # an error fails the test
            word = (reader.get("key:%d" % (len(seen) * 7919 % 20_000)) or b"nothing")[:3]
            if seen[-1:] != [word]:
                seen.append(word)
        self.assertEqual(seen, [b"old", b"new"])
        until(lambda: own.info("replication")["master_link_status"] == "up")
        self.assertEqual(own.dbsize(), 150_000)

        # Once more, into an empty folder, killed on the way: what is there, or what is missing.
        process.kill()
        process.wait()
        found = set()
        for pause in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7):
            shutil.rmtree(os.path.join(self.folder, "own"))
            process = self.start("own", command + ["--replicaof", "127.0.0.1 %d" % self.redis_port])
            until(own.ping)
            time.sleep(pause)
            process.kill()
            process.wait()
            process = self.start("own", command)
            try:
                end = time.time() + 20
                while process.poll() is None and time.time() < end:
                    try:
                        size = own.dbsize()
                        self.assertIn(size, (0, 150_000))
                        found.add(size)
                        break
                    except redis.exceptions.RedisError:
                        time.sleep(0.02)
            finally:
                process.kill()
                refused = process.wait() == 1
            if refused:
                self.assertIn("Start with replicaof HOST PORT",
                              pathlib.Path(self.folder, "own.log").read_text())
                found.add("refused")
        print("killed on the way into an empty folder, started as a primary: found", sorted(map(str, found)))

    def test_what_holdfast_does_not_hold_is_named(self):
        self.source.set("kept", "1")
        process, own = self.follow()
        until(lambda: own.get("kept"))
        self.source.lpush("queue:jobs", "a")
        error = until(lambda: own.info("replication").get("master_link_last_error", ""))
        self.assertIn("LPUSH", error)
        self.assertIn("queue:jobs", error)
        self.assertEqual(own.get("kept"), b"1")
        process.kill()
        process.wait()
        shutil.rmtree(os.path.join(self.folder, "own"))
        self.start("own", [str(ROOT / "bin/holdfast-server"), "--port", str(self.own_port), "--replicaof",
                           "127.0.0.1 %d" % self.redis_port])
        own = redis.Redis(port=self.own_port, socket_timeout=20)
        until(own.ping)
        error = until(lambda: own.info("replication").get("master_link_last_error", ""))
        self.assertIn("queue:jobs", error)
        self.assertEqual(own.dbsize(), 0)


if __name__ == "__main__":
    unittest.main()
