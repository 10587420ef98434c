#!/usr/bin/env python3
"""Compares the rows of two servers: rows.py PORT REFERENCE_PORT. Reports where COMMAND INFO (arity, flags, keys,
categories, tips, key specifications) and COMMAND DOCS (group, since) of commands that both have differ."""
import sys

import resp_client as resp

FIELDS = "name arity flags first last step categories tips key-specs".split()


def plain(value):
    """A reply in which sets are sorted, so that order does not count."""
    if isinstance(value, resp.Pairs):
        return sorted((str(plain(k)), plain(v)) for k, v in value if k != b"notes")
    if isinstance(value, list):
        items = [plain(item) for item in value]
        return sorted(items, key=str) if isinstance(value, resp.Members) else items
    return value.decode() if isinstance(value, bytes) else value


def fetch(port):
    connection = resp.Connection(port)
    connection.call("HELLO", "3")
    rows = {}

    def keep(info):
        rows[plain(info[0])] = [plain(field) for field in info[:9]]
        for sub in info[9]:
            keep(sub)

    for info in connection.call("COMMAND"):
        keep(info)
    docs = {}

    def keep_docs(pairs):
        for name, fields in pairs:
            fields = {k.decode(): v for k, v in fields}
            docs[name.decode()] = (plain(fields["group"]), plain(fields["since"]))
            keep_docs(fields.get("subcommands", []))

    keep_docs(connection.call("COMMAND", "DOCS"))
    connection.close()
    return rows, docs


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    (ours, our_docs), (theirs, their_docs) = fetch(int(sys.argv[1])), fetch(int(sys.argv[2]))
    differences = 0
    for name in sorted(set(ours) & set(theirs)):
        for field, a, b in zip(FIELDS, ours[name], theirs[name]):
            if a != b:
                differences += 1
                print(f"{name}: {field}: {a} here, {b} there")
        if our_docs[name] != their_docs[name]:
            differences += 1
            print(f"{name}: docs: {our_docs[name]} here, {their_docs[name]} there")
    print(f"{len(set(ours) & set(theirs))} rows compared, {differences} differences")


if __name__ == "__main__":
    main()
