#!/usr/bin/env python3
"""Checks a fork proof (docs/FORMAT.md, F-46): `fork_proof.py FILE`. Needs no store and no secret."""

import sys
from types import SimpleNamespace

import strongroom_decoder as decoder
from strongroom_decoder import Refused, need


def read_commit(roster, plain):
    """A commit wherever in its device's chain it stands."""
    signed = decoder.parse_strict("SignedCommit", plain, "commit")
    claimed = decoder.parse_strict("Commit", signed.commit, "commit")
    device = roster.state.devices.get(claimed.device)
    need(device is not None, "commit")
    return decoder.read_commit(roster.account, device, claimed.epoch, plain, claimed.sequence)


def read_proof(data):
    """Account, device, sequence and witness; Refused for what proves nothing."""
    need(len(data) <= 24 << 20, "proof")
    proof = decoder.parse_strict("ForkProof", data, "proof")
    need(len(proof.account) == 16, "proof")
    roster = decoder.read_roster(proof.account, proof.roster)
    commit, witness = read_commit(roster, proof.commit), read_commit(roster, proof.witness)
    own, n = commit.own_hash, commit.sequence
    if witness.device == commit.device:
        beside = witness.sequence == n and witness.own_hash != own
        holds = beside or (witness.sequence == n + 1 and witness.previous != own)
    else:
        heads = [head for head in witness.seen if head.device == commit.device]
        holds = any(head.sequence == n and head.hash != own for head in heads)
    need(holds, "the two do not contradict each other")
    return SimpleNamespace(account=proof.account, device=commit.device, sequence=n, witness=witness.device)


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read((24 << 20) + 1)
    try:
        proof = read_proof(data)
    except Refused as error:
        print(f"proves nothing: {error}", file=sys.stderr)
        return 3
    print(f"account {proof.account.hex()}: the history of device {proof.device.hex()} forks at commit {proof.sequence}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
