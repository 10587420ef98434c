#!/usr/bin/env python3
"""A long job that keeps its place: word and letter statistics over the text of many files.

It knows nothing of servers and crashes but three calls of utils/python/holdfast.py: restore() where it begins, save()
as it goes, should_stop() between two units. Without Holdfast around it, it runs from the start to the end and the
calls do nothing.

The work comes in units of some 48 KiB of text. The state is bounded, whatever the amount of text, so that saving it ten
times a second costs nearly nothing: counts of letters, of pairs of letters and of word lengths, and the commonest words
by Misra and Gries's summary, whose counts are at most `words_error` too low. The result depends on the list of files
and the number of units only.
"""
import argparse, gzip, json, os, re, sys, time
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'python'))
import holdfast

UNIT_BYTES = 48 << 10
SUMMARY_WORDS = 1000
TOP_WORDS = 50
WORD = re.compile('[a-z]+')


def read_text(path):
    """The file's text; a page that is packed is unpacked, one that can't be read counts as empty."""
    try:
        with (gzip.open if path.endswith('.gz') else open)(path, 'rb') as f:
            return f.read().decode('utf-8', 'replace').lower()
    except (OSError, EOFError):
        return ''


class State:
    """Everything the job has found out so far, and where it stands."""

    def __init__(self):
        self.unit = self.file = self.bytes = self.words_total = self.words_error = 0
        self.letters, self.pairs, self.lengths, self.words = Counter(), Counter(), Counter(), Counter()

    def step(self, files):
        """One unit: the next files, until there is enough text; after the last file comes the first."""
        size, words = 0, Counter()
        while size < UNIT_BYTES:
            text = read_text(files[self.file % len(files)])
            self.file += 1
            size += max(len(text), 512)  # an empty file costs its opening
            self.bytes += len(text)
            found = WORD.findall(text)
            words.update(found)
            self.words_total += len(found)
        for word, n in words.items():
            self.lengths[len(word)] += n
            for letter in word:
                self.letters[letter] += n
            for pair in zip(word, word[1:]):
                self.pairs[pair[0] + pair[1]] += n
        self.merge(words)
        self.unit += 1

    def merge(self, words):
        """Adds the counts, then takes the (k+1)th largest off all: k counters are left, each too low by the same bound."""
        self.words.update(words)
        if len(self.words) > SUMMARY_WORDS:
            cut = sorted(self.words.values(), reverse=True)[SUMMARY_WORDS]
            self.words_error += cut
            self.words = Counter({word: n - cut for word, n in self.words.items() if n > cut})

    def save(self, path):
        with open(path, 'w') as f:
            json.dump(self.__dict__, f)

    @classmethod
    def load(cls, path):
        state = cls()
        with open(path) as f:
            saved = json.load(f)
        for name, value in saved.items():
            setattr(state, name, Counter(value) if isinstance(value, dict) else value)
        # JSON knows text keys only.
        state.lengths = Counter({int(length): n for length, n in state.lengths.items()})
        return state

    def result(self):
        by_count = lambda counts: sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return {
            'units': self.unit, 'files_read': self.file, 'characters': self.bytes, 'words': self.words_total,
            'word_counts_low_by_at_most': self.words_error,
            'commonest_words': by_count(self.words)[:TOP_WORDS],
            'letters': by_count(self.letters), 'pairs': by_count(self.pairs), 'word_lengths': sorted(self.lengths.items()),
        }


def main():
    ap = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ap.add_argument('--files', required=True, help='a file that lists the files to read, one a line')
    ap.add_argument('--out', required=True, help='where the result goes')
    ap.add_argument('--units', type=int, default=0, help='how many units the job has')
    ap.add_argument('--seconds', type=float, default=0, help='instead of --units: as many as there is time for')
    ap.add_argument('--every', type=float, default=0.1, help='seconds between two checkpoints')
    ap.add_argument('--count', help='append "unit pid nanoseconds" here when a unit begins: the tally of the demo')
    a = ap.parse_args()
    with open(a.files) as f:
        files = f.read().splitlines()
    tally = os.open(a.count, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if a.count else -1

    path = holdfast.restore()
    state = State.load(path) if path else State()
    begin = saved = told = time.monotonic()
    while state.unit < a.units if a.units else time.monotonic() - begin < a.seconds:
        if tally >= 0:
            os.write(tally, b'%d %d %d\n' % (state.unit, os.getpid(), time.monotonic_ns()))
        state.step(files)
        now = time.monotonic()
        if holdfast.active() and (now - saved >= a.every or holdfast.should_stop()):
            with holdfast.save(state.unit) as path:
                state.save(path)
            saved = time.monotonic()
        if now - told >= 1:
            holdfast.progress(state.unit, a.units, f'{state.words_total} words')
            told = now
        if holdfast.should_stop():
            sys.exit(75)

    with open(a.out + '.new', 'w') as f:
        json.dump(state.result(), f, indent=1)
        f.write('\n')
    os.replace(a.out + '.new', a.out)


if __name__ == '__main__':
    main()
