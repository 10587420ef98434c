"""utils/python/holdfast.py: inside a run (a folder stands in for the wrapper) and outside one."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "utils" / "python"))

import holdfast  # noqa: E402


class InsideARun(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.home.name)
        for name in ("tmp", "out", "sending"):
            (self.dir / name).mkdir()
        os.environ["HOLDFAST_DIR"] = str(self.dir)
        holdfast._stop.clear()
        holdfast._wanted.clear()
        holdfast._progress_at = None

    def tearDown(self):
        del os.environ["HOLDFAST_DIR"]
        self.home.cleanup()

    def test_there_is_nothing_to_restore_at_first_and_then_there_is(self):
        self.assertIsNone(holdfast.restore())
        (self.dir / "checkpoint").write_text("x")
        self.assertEqual(holdfast.restore(), str(self.dir / "checkpoint"))

    def test_a_file_appears_in_out_only_when_the_block_has_ended(self):
        with holdfast.save(5) as path:
            pathlib.Path(path).write_text("state")
            self.assertEqual(os.listdir(self.dir / "out"), [])
        self.assertEqual((self.dir / "out" / "step-5").read_text(), "state")
        self.assertEqual(os.listdir(self.dir / "tmp"), [])

    def test_a_folder_is_saved_whole(self):
        with holdfast.save(6) as path:
            os.makedirs(os.path.join(path, "deep"))
            pathlib.Path(path, "deep", "a").write_text("1")
        self.assertEqual((self.dir / "out" / "step-6" / "deep" / "a").read_text(), "1")

    def test_links_in_a_folder_do_not_matter_even_dangling_ones(self):
        with holdfast.save(6) as path:
            os.makedirs(path)
            pathlib.Path(path, "a").write_text("1")
            os.symlink("a", os.path.join(path, "latest"))
            os.symlink("not-there", os.path.join(path, "dangling"))
        self.assertEqual(os.readlink(self.dir / "out" / "step-6" / "latest"), "a")
        self.assertEqual(os.readlink(self.dir / "out" / "step-6" / "dangling"), "not-there")

    def test_an_exception_drops_what_was_written(self):
        with self.assertRaises(RuntimeError):
            with holdfast.save(7) as path:
                pathlib.Path(path).write_text("half")
                raise RuntimeError("out of memory")
        self.assertEqual(os.listdir(self.dir / "out") + os.listdir(self.dir / "tmp"), [])

    def test_a_block_that_writes_nothing_is_a_mistake_and_says_so(self):
        with self.assertRaises(FileNotFoundError):
            with holdfast.save(8):
                pass

    def test_the_same_step_again_replaces_the_one_before_file_or_folder(self):
        for text in ("one", "two"):
            with holdfast.save(9) as path:
                os.mkdir(path)
                pathlib.Path(path, text).write_text(text)
        self.assertEqual(os.listdir(self.dir / "out" / "step-9"), ["two"])

    def test_deltas_are_saved_under_their_name_and_restored_in_order(self):
        with holdfast.save(10, delta=True) as path:
            pathlib.Path(path).write_text("d")
        self.assertTrue((self.dir / "out" / "delta-10").exists())
        (self.dir / "deltas").mkdir()
        for step in (10, 9):
            (self.dir / "deltas" / ("step-%d" % step)).write_text("")
        self.assertEqual([os.path.basename(p) for p in holdfast.restore_deltas()], ["step-9", "step-10"])

    def test_progress_is_one_line_whatever_the_note_holds(self):
        holdfast.progress(3, 10, "epoch\n3")
        self.assertEqual((self.dir / "progress").read_text(), "3 10 epoch 3\n")
        holdfast.progress(4, 10)
        self.assertEqual((self.dir / "progress").read_text(), "3 10 epoch 3\n")
        holdfast.progress(10, 10, "end")
        self.assertEqual((self.dir / "progress").read_text(), "10 10 end\n")

    def test_save_waits_while_too_many_are_waiting_to_be_sent(self):
        for step in range(holdfast._WAITING_MAX):
            (self.dir / "out" / ("delta-%d" % step)).write_text("")
        threading.Timer(0.3, lambda: (self.dir / "out" / "delta-0").unlink()).start()
        began = time.monotonic()
        with holdfast.save(100) as path:
            pathlib.Path(path).write_text("x")
        self.assertGreater(time.monotonic() - began, 0.2)
        self.assertTrue((self.dir / "out" / "step-100").exists())

    def test_a_negative_step_is_refused(self):
        with self.assertRaises(ValueError):
            with holdfast.save(-1):
                pass

    def test_signals_are_turned_into_answers(self):
        program = (
            "import holdfast, os, sys, time\n"
            "holdfast.should_stop(), holdfast.should_save()\n"
            "print('ready', flush=True)\n"
            "while not holdfast.should_save(): time.sleep(0.01)\n"
            "with holdfast.save(1) as path: open(path, 'w').close()\n"
            "assert not holdfast.should_save()\n"
            "print('saved', flush=True)\n"
            "while not holdfast.should_stop(): time.sleep(0.01)\n"
            "sys.exit(75)\n"
        )
        env = dict(os.environ, PYTHONPATH=str(HERE.parent.parent / "utils" / "python"))
        child = subprocess.Popen([sys.executable, "-c", program], env=env, stdout=subprocess.PIPE, text=True)
        self.assertEqual(child.stdout.readline(), "ready\n")
        child.send_signal(signal.SIGUSR1)
        self.assertEqual(child.stdout.readline(), "saved\n")
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(10), 75)
        child.stdout.close()


    def test_a_program_that_never_asks_should_stop_still_dies_of_sigterm(self):
        program = "import holdfast, time\nholdfast.restore(); holdfast.should_save()\nprint('ready', flush=True)\ntime.sleep(20)\n"
        env = dict(os.environ, PYTHONPATH=str(HERE.parent.parent / "utils" / "python"))
        child = subprocess.Popen([sys.executable, "-c", program], env=env, stdout=subprocess.PIPE, text=True)
        self.assertEqual(child.stdout.readline(), "ready\n")
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(10), -signal.SIGTERM)
        child.stdout.close()


class OutsideARun(unittest.TestCase):
    def test_everything_works_and_does_nothing(self):
        self.assertNotIn("HOLDFAST_DIR", os.environ)
        before = signal.getsignal(signal.SIGTERM)
        self.assertIsNone(holdfast.restore())
        self.assertEqual(holdfast.restore_deltas(), [])
        self.assertFalse(holdfast.should_stop())
        self.assertFalse(holdfast.should_save())
        holdfast.progress(1, 2, "x")
        with holdfast.save(1) as path:
            pathlib.Path(path).write_text("x")
            kept = path
        self.assertFalse(os.path.exists(kept))
        self.assertIs(signal.getsignal(signal.SIGTERM), before)


if __name__ == "__main__":
    unittest.main()
