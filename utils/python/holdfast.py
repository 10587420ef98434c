"""Checkpoints for a Python program that `holdfast-cli run` started. Standard library only; outside a run it does nothing.

    import holdfast

    start = 0
    if (path := holdfast.restore()) is not None:    # where the last attempt left off, or None
        start, model = load(path)
    for step in range(start + 1, 1001):
        train(model)
        holdfast.progress(step, 1000, "training")
        if step % 50 == 0 or holdfast.should_save() or holdfast.should_stop():
            with holdfast.save(step) as path:       # a path to write to: a file, or make it a folder
                store(path, step, model)
        if holdfast.should_stop():                  # Ctrl-C, SIGTERM, a pause, a drain
            sys.exit(75)                            # "give the run back": not a failure

Run it with `holdfast-cli run --task my-training -- python train.py`; run the same line again after any crash. Without
holdfast-cli the same program works too: restore() is None, save() hands out a path that is thrown away, the rest does
nothing.

A checkpoint counts once the `with` block has ended: it is then complete, synced, and renamed to its place; a crash in
the block leaves the one before it. An exception in the block drops what was written. Saved steps must rise.

save(step, delta=True) saves a change on top of the last checkpoint; restore_deltas() lists those to apply, in order.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time

__all__ = ["active", "restore", "restore_deltas", "save", "should_stop", "should_save", "progress"]

# Beyond this many checkpoints that wait to be sent, save() waits a little: the disk is not an endless queue.
_WAITING_MAX = 8
_WAIT_SECONDS_MAX = 10.0
_PROGRESS_SECONDS = 0.2

_stop = threading.Event()
_wanted = threading.Event()
_listening = set()
_progress_at = None


def _folder():
    return os.environ.get("HOLDFAST_DIR") or None


def active():
    """True inside a run."""
    return _folder() is not None


def _listen(event, *numbers):
    """Lets signals set `event`, from the first call of the function that reads it on: a program that never asks
    should_stop() must still die of SIGTERM. Python allows it on the main thread only. A handler that the program has
    set itself stays, and is called."""
    if event in _listening or not active() or threading.current_thread() is not threading.main_thread():
        return
    _listening.add(event)
    for number in numbers:
        before = signal.getsignal(number)

        def handler(received, frame, before=before):
            event.set()
            if callable(before) and before is not signal.default_int_handler:
                before(received, frame)

        signal.signal(number, handler)


def restore():
    """The path of the last checkpoint (a file or a folder, to be read only), or None at the very beginning."""
    folder = _folder()
    if folder is None:
        return None
    path = os.path.join(folder, "checkpoint")
    return path if os.path.exists(path) else None


def restore_deltas():
    """The changes saved on top of that checkpoint, oldest first."""
    folder = _folder()
    deltas = folder and os.path.join(folder, "deltas")
    if not deltas or not os.path.isdir(deltas):
        return []
    names = [name for name in os.listdir(deltas) if name.startswith("step-")]
    return [os.path.join(deltas, name) for name in sorted(names, key=lambda name: int(name[5:]))]


def should_stop():
    """True once the program has been asked to stop: save, then exit with 75. Call it early: from the first call on, signals no
    longer end the program by themselves."""
    _listen(_stop, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    return _stop.is_set()


def should_save():
    """True when a checkpoint was asked for (--checkpoint-every, the server); save() answers it."""
    _listen(_wanted, signal.SIGUSR1)
    return _wanted.is_set()


def progress(n, total, note=""):
    """Shows how far the program is. Cheap: calls in quick succession are left out, except the last of all."""
    global _progress_at
    folder = _folder()
    now = time.monotonic()
    if folder is None or (_progress_at is not None and now - _progress_at < _PROGRESS_SECONDS and n != total):
        return
    _progress_at = now
    line = "%d %d %s" % (n, total, " ".join(str(note).split()))
    fresh = os.path.join(folder, "progress.%d" % os.getpid())
    try:
        with open(fresh, "wb") as out:
            out.write(line.encode()[:512] + b"\n")
        os.replace(fresh, os.path.join(folder, "progress"))
    except OSError:
        pass  # progress is for the eye; work must not end over it


def _sync(path, flags=os.O_RDONLY):
    fd = os.open(path, flags)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_tree(path):
    if os.path.isdir(path) and not os.path.islink(path):
        for base, _, files in os.walk(path, topdown=False):
            for name in files:
                if not os.path.islink(os.path.join(base, name)):  # it has nothing of its own to sync
                    _sync(os.path.join(base, name))
            _sync(base)
    else:
        _sync(path)


def _remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.remove(path)


def _wait_for_room(out):
    """The wrapper drops full checkpoints that a newer one follows, so this waits only where it can't keep up."""
    end = time.monotonic() + _WAIT_SECONDS_MAX
    while time.monotonic() < end and not _stop.is_set():
        try:
            waiting = sum(1 for name in os.listdir(out) if name.startswith(("step-", "delta-")))
        except OSError:
            return
        if waiting < _WAITING_MAX:
            return
        time.sleep(0.02)


@contextlib.contextmanager
def save(step, delta=False):
    """`with save(step) as path`: write a file at `path`, or make it a folder and fill it. Complete or not at all."""
    step = int(step)
    if step < 0:
        raise ValueError("a step is a number that is not negative")
    folder = _folder()
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="holdfast-") as nowhere:
            yield os.path.join(nowhere, "checkpoint")
        return
    _wanted.clear()
    name = ("delta-%d" if delta else "step-%d") % step
    tmp, out = os.path.join(folder, "tmp"), os.path.join(folder, "out")
    os.makedirs(tmp, exist_ok=True)
    path = os.path.join(tmp, "%s.%d.%d" % (name, os.getpid(), threading.get_ident()))
    _remove(path)
    try:
        yield path
        if not os.path.lexists(path):
            raise FileNotFoundError("nothing was written to %s in the save block" % path)
        _sync_tree(path)
        _wait_for_room(out)
        target = os.path.join(out, name)
        try:
            os.rename(path, target)
        except OSError:
            _remove(target)  # a folder under this step: the newer one takes its place
            os.rename(path, target)
        _sync(out)
    except BaseException:
        _remove(path)
        raise
