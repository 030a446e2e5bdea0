#!/usr/bin/env python3
"""Prints for each kind how many chunks lie in its fullest frame (F-22)."""

import sys

import strongroom_decoder as decoder


def main():
    store, code = decoder.Store(sys.argv[1]), sys.argv[2]
    account = decoder.Account(store, decoder.recovery_secret(code))
    for kind, state, _ in account.kinds():
        content = decoder.Content(store, account.account, kind, account.keys[kind], state.index)
        frames = [frame for places in content.places.values() for _, frame, _ in places]
        print(kind, max((len(frame.chunks) for frame in frames), default=0))


if __name__ == "__main__":
    main()
