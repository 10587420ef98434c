#!/usr/bin/python3
"""How it starts, ends, and judges what it finds on disk: mistakes in the configuration are named with file
and line, a second server is kept out, a torn tail is cut and said, damage is refused with its byte."""
import json, os, re, signal, stat, time

import harness


class ConfigTest(harness.Case):
    def write(self, text):
        path = os.path.join(harness.temp_dir(), 'server.toml')
        with open(path, 'w') as f:
            f.write(text)
        return path

    def test_a_mistake_in_the_configuration_is_named_and_nothing_starts(self):
        cases = [
            ('port = 7000\nno-such-option = 1\n', 2, 'no-such-option'),
            ('# a line\n\nport = "many"\n', 3, 'port'),
            ('port = 70000\n', 1, 'port'),
            ('appendfsync = "sometimes"\n', 1, 'appendfsync'),
            ('dir = "d"\nport = = 3\n', 2, ''),
            ('maxclients = 100\nmaxclients = 200\n', 2, 'maxclients'),
            ('bind = "127.0.0.1\n', 1, ''),
        ]
        for text, line, option in cases:
            path = self.write(text)
            for words in ([path], ['--check-config', path]):
                code, out, err = harness.run([harness.SERVER, *words], seconds=10)
                said = out + err
                self.assertNotEqual(0, code, f'{text!r} was accepted')
                self.assertIn(path, said)
                self.assertRegex(said, rf'(line {line}\b|:{line}\b)', text)
                self.assertIn(option, said)
        self.did(f'{len(cases)} mistakes: file, line and option named, by a start and by --check-config')

    def test_what_is_allowed_is_said(self):
        code, out, err = harness.run([harness.SERVER, '--appendfsync', 'sometimes'])
        self.assertNotEqual(0, code)
        for word in ('appendfsync', 'sometimes', 'always', 'everysec', 'no'):
            self.assertIn(word, out + err)
        code, out, err = harness.run([harness.SERVER, '--apendfsync', 'no'])
        self.assertNotEqual(0, code)
        self.assertIn('apendfsync', out + err)
        self.did('a wrong value on the command line lists the right ones; an unknown flag is named')

    def test_a_good_configuration_passes(self):
        path = self.write('port = 7000\nappendfsync = "always"\nmaxmemory = "64mb"\n')
        code, out, err = harness.run([harness.SERVER, '--check-config', path])
        self.assertEqual(0, code, out + err)
        code, out, err = harness.run(
            [harness.SERVER, '--check-config', os.path.join(harness.ROOT, 'conf', 'server.toml')])
        self.assertEqual(0, code, out + err)
        self.did('a small one, and conf/server.toml')

    def test_flags_win_over_the_file_and_CONFIG_REWRITE_keeps_what_was_set(self):
        path = self.write('# kept comment\nmaxclients = 77\ntimeout = 500\n')
        s = self.server({'timeout': 600}, start=False, before=[])
        s.command = lambda base=s.command: [base()[0], path, *base()[1:]]
        s.start()
        with s.connect() as c:
            self.assertEqual([b'maxclients', b'77'], c.cmd('CONFIG', 'GET', 'maxclients'))
            self.assertEqual([b'timeout', b'600'], c.cmd('CONFIG', 'GET', 'timeout'))
            c.cmd('CONFIG', 'SET', 'maxclients', 88)
            self.assertEqual('OK', c.cmd('CONFIG', 'REWRITE'))
        text = open(path).read()
        self.assertIn('88', text)
        self.assertIn('# kept comment', text)
        self.assertEqual(0, s.stop())
        s.start()
        with s.connect() as c:
            self.assertEqual([b'maxclients', b'88'], c.cmd('CONFIG', 'GET', 'maxclients'))
            self.assertError('ERR', c.pipe([('CONFIG', 'SET', 'no-such', '1')])[0])
            self.assertError('ERR', c.pipe([('CONFIG', 'SET', 'dir', '/tmp')])[0])
        self.did('file < flags < CONFIG SET; the rewritten file starts again; dir is protected')

    def test_log_lines_as_json(self):
        s = self.server({'log-format': 'json'})
        s.stop()
        lines = [json.loads(line) for line in s.log().splitlines() if line.strip()]
        self.assertGreater(len(lines), 1)
        self.did(f'{len(lines)} lines, each a JSON object')


class OneServerTest(harness.Case):
    def test_a_busy_port_is_named(self):
        s = self.server()
        other = self.server({'port': s.port}, start=False).launch()
        code = other.wait(10)
        self.assertGreater(code, 0)
        self.assertIn(str(s.port), other.log())
        self.assertRegex(other.log().lower(), 'in use|busy|taken')
        self.assertTrue(s.alive())
        self.did(f'exit {code}: "{other.log().strip().splitlines()[-1][:110]}"')

    def test_a_second_server_on_the_same_folder_is_refused(self):
        s = self.server()
        with s.connect() as c:
            c.cmd('SET', 'a', 1)
        other = self.server({'dir': s.data}, start=False).launch()
        code = other.wait(10)
        self.assertGreater(code, 0)
        self.assertIn(s.data, other.log())
        with s.connect() as c:
            self.assertEqual(b'1', c.cmd('GET', 'a'))
        s.kill()
        other.start()  # the lock went with its holder
        with other.connect() as c:
            self.assertEqual(b'1', c.cmd('GET', 'a'))
        self.did(f'exit {code}; after the first was killed the second gets in and has its data')

    def test_a_clean_end_and_a_clean_start(self):
        s = self.server({'appendfsync': 'no'})
        for sig in (signal.SIGTERM, signal.SIGINT):
            with s.connect() as c:
                c.pipe([('SET', f'k{sig}{i}', i) for i in range(1000)])
            s.process.send_signal(sig)
            self.assertEqual(0, s.wait(10))
            s.start()
        with s.connect() as c:
            self.assertEqual(2000, c.cmd('DBSIZE'))
            c.cmd('SET', 'last', 1)
            try:
                c.cmd('SHUTDOWN')
            except ConnectionError:
                pass
        self.assertEqual(0, s.wait(10))
        s.start()
        with s.connect() as c:
            self.assertEqual(2001, c.cmd('DBSIZE'))
        if not harness.IS_REDIS:
            self.assertNotIn('rescue', os.listdir(s.data))
        self.did('SIGTERM, SIGINT and SHUTDOWN: exit 0, nothing torn at the next start')

    def test_files_are_for_their_owner_only(self):
        s = self.server(start=False)
        s.start()
        with s.connect() as c:
            c.cmd('SET', 'a', 1)
            c.cmd('SAVE')
        s.process.send_signal(signal.SIGSTOP)  # MANIFEST is replaced behind the reply: nothing moves while we look
        for folder, _, names in os.walk(s.data):
            for name in names:
                mode = stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode)
                self.assertEqual(0, mode & 0o077, f'{name} has mode {mode:o}')
        s.process.send_signal(signal.SIGCONT)
        fresh = harness.Server({'dir': os.path.join(s.folder, 'fresh')})
        fresh.start()
        self.addCleanup(fresh.drop)
        self.assertEqual(0o700, stat.S_IMODE(os.stat(os.path.join(s.folder, 'fresh')).st_mode))
        self.did('files 0600, a folder it made 0700')


def check(folder, *more):
    return harness.run([harness.CHECK, folder, *more])


class DamageTest(harness.Case):
    def filled(self, changes=300, policy='always', **flags):
        """A server with some data, killed; its log is synced."""
        s = self.server({'appendfsync': policy, **flags})
        with s.connect() as c:
            for i in range(changes):
                c.cmd('SET', f'key{i}', f'value {i} ' + 'x' * 50)
        s.kill()
        return s

    def used(self, path):
        """Bytes of a segment before the zeros that were written ahead."""
        return len(open(path, 'rb').read().rstrip(b'\0'))

    def test_a_flipped_byte_in_the_synced_log_is_refused_and_named(self):
        s = self.filled()
        segment = harness.log_segments(s.data)[-1]
        pristine = open(segment, 'rb').read()
        end = self.used(segment)
        tried = 0
        for place in (0.2, 0.5, 0.8):
            at = int(end * place)
            with open(segment, 'r+b') as f:
                f.seek(at)
                f.write(bytes([pristine[at] ^ 0x20]))
            s.launch()
            code = s.wait(15)
            self.assertGreater(code, 0, 'it started on a damaged log')
            said = s.log().splitlines()[-12:]
            text = '\n'.join(said)
            self.assertIn(os.path.basename(segment), text)
            self.assertIn('holdfast-check', text)
            named = [int(n) for n in re.findall(r'byte (\d+)', text)]
            self.assertTrue(any(n <= at < n + 5000 for n in named),
                            f'byte {at} was flipped; named: {named}: {text}')
            code, out, err = check(s.data)
            self.assertEqual(1, code, out + err)
            self.assertEqual(pristine[:at] + bytes([pristine[at] ^ 0x20]) + pristine[at + 1:],
                             open(segment, 'rb').read(), 'somebody changed the damaged file')
            with open(segment, 'wb') as f:
                f.write(pristine)
            tried += 1
        s.start()
        with s.connect() as c:
            self.assertEqual(300, c.cmd('DBSIZE'))
        self.did(f'{tried} places; refused each time, file untouched; with the byte put right it starts')

    def test_a_torn_tail_is_cut_and_said(self):
        s = self.filled(policy='no')
        segment = harness.log_segments(s.data)[-1]
        end = self.used(segment)
        with open(segment, 'r+b') as f:   # the last bytes of the last frame never reached the disk
            f.seek(end - 30)
            f.write(bytes(30))
        code, out, err = check(s.data)
        self.assertEqual(0, code, out + err)
        s.start()
        with s.connect() as c:
            n = c.cmd('DBSIZE')
            self.assertIn(n, range(1, 300))
            self.assertEqual([b'value %d ' % i + b'x' * 50 for i in range(n)],
                             c.cmd('MGET', *[f'key{i}' for i in range(n)]))
            c.cmd('SET', 'after', 1)
        self.assertRegex(s.log().lower(), 'torn|rescue')
        self.assertTrue(os.listdir(os.path.join(s.data, 'rescue')))
        self.assertEqual(0, s.stop())
        s.start()
        with s.connect() as c:
            self.assertEqual(b'1', c.cmd('GET', 'after'))
        self.did(f'{n} of 300 are left, in order; the rest lies in rescue/; the server says so and goes on')

    def test_a_log_file_stored_as_a_value_fools_nobody(self):
        s = self.filled()
        evil = open(harness.log_segments(s.data)[-1], 'rb').read().rstrip(b'\0')
        s.start()
        with s.connect() as c:
            c.cmd('SET', 'evil', evil)
            c.cmd('SET', 'evil2', evil * 3)
        s.kill()
        s.start()
        with s.connect() as c:
            self.assertEqual((302, evil), (c.cmd('DBSIZE'), c.cmd('GET', 'evil')))
        self.did(f'{len(evil)} bytes of its own log, once and three times over')

    def test_a_damaged_newest_snapshot_is_passed_over(self):
        s = self.server({'appendfsync': 'always'})
        with s.connect() as c:
            for round in range(2):
                for i in range(200):
                    c.cmd('SET', f'r{round}k{i}', 'x' * 100)
                c.cmd('SAVE')
            c.cmd('SET', 'after', 1)
        s.kill()
        newest = sorted(n for n in os.listdir(s.data) if n.startswith('snapshot-'))[-1]
        path = os.path.join(s.data, newest)
        raw = bytearray(open(path, 'rb').read())
        raw[len(raw) // 2] ^= 1
        open(path, 'wb').write(raw)
        code, out, err = check(s.data)
        self.assertEqual(1, code, out + err)
        self.assertIn(newest, out + err)
        s.start()
        with s.connect() as c:
            self.assertEqual(401, c.cmd('DBSIZE'))
        self.assertIn(newest, s.log())
        self.did('named, the one before taken with more log; all 401 keys there')

    def test_exit_codes_of_holdfast_check(self):
        s = self.filled()
        code, out, err = check(s.data)
        self.assertEqual(0, code, out + err)
        code, out, err = check(s.data, '--json')
        self.assertEqual(0, code, out + err)
        json.loads(out)
        for path in ('/nowhere/at/all', harness.temp_dir()):
            code, out, err = check(path)
            self.assertEqual(2, code, out + err)
        s.start()
        with s.connect() as c:
            c.cmd('SAVE')
        s.stop()
        code, out, err = check(s.data)
        self.assertEqual(0, code, out + err)
        self.did('0 sound (killed, saved, ended), 1 damaged above, 2 for no such folder and for an empty '
                 'one; --json parses')

    def test_a_snapshot_asked_for_after_a_quiet_time_is_taken_at_once(self):
        c = self.connect(self.server(), timeout=5)
        slowest = 0.0
        for i in range(6):
            c.cmd('BGSAVE')
            time.sleep(0.15 if i else 1.5)  # nothing else makes the loop turn
            since = time.monotonic()
            c.cmd('SAVE')
            slowest = max(slowest, time.monotonic() - since)
        self.assertLess(slowest, 1.0)
        self.did(f'6 times, {slowest:.2f} s at most')


if __name__ == '__main__':
    harness.main()
