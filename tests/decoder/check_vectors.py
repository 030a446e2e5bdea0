#!/usr/bin/env python3
"""Runs the decoder against tests/vectors: what it must read, and what it must refuse."""

import base64
import json
import os
import stat
import struct
import sys
import tempfile
from pathlib import Path

import enrollment
import fork_proof
import strongroom_decoder as decoder

VECTORS = Path(__file__).resolve().parent.parent / "vectors"


def load(name):
    return json.loads((VECTORS / name).read_text())


def same(what, ours, theirs):
    if ours != theirs:
        sys.exit(f"{what}: {ours!r} is not {theirs!r}")


def b3(data):
    return decoder.blake3(data).hexdigest()


def check_keys():
    keys = load("keys.json")
    code = decoder.recovery_secret(keys["recovery"]["code"])
    same("locator", code.locator.hex(), keys["recovery"]["locator"])
    same("X-Wing", b3(code.pair.public), keys["recovery"]["x_wing_public_blake3"])
    same("Ed25519", code.signing_public.hex(), keys["recovery"]["ed25519_public"])
    shared = code.pair.decapsulate(bytes.fromhex(keys["x_wing"]["ciphertext"]))
    same("shared", shared.hex(), keys["x_wing"]["shared"])
    of = keys["epoch"]
    for name in ("commit", "keyring", "roster"):
        key = decoder.epoch_key(bytes.fromhex(of["root"]), f"epoch/{name}", bytes.fromhex(of["account"]), of["epoch"])
        same(name, key.hex(), of[f"{name}_key"])
    same("root id", decoder.root_id(of["epoch"], bytes.fromhex(of["root"])).hex(), of["root_id"])
    naming = keys["naming"]
    for name, label in (("chunk_id_key", "naming/chunk-id"), ("chunk_cut_key", "naming/chunk-cut")):
        key = decoder.expand(bytes.fromhex(naming["naming_key"]), label, naming["kind"].encode(), 32)
        same(name, key.hex(), naming[name])
    places = [
        decoder.context(b"\1" * 16, 0, 1, decoder.place_object(b"\2" * 16), "photos"),
        decoder.context(b"\1" * 16, 5, 5, decoder.place_commit(b"\3" * 16, 258)),
        decoder.context(bytes(16), 0, 6, decoder.place_envelope(b"\4" * 16, b"\5" * 16)),
    ]
    same("contexts", [place.hex() for place in places], keys["contexts"])
    chunk = load("chunk.json")
    same("chunk", read_chunk(chunk).hex(), chunk["plain"])


def read_chunk(chunk):
    stored, name, id_key = (bytes.fromhex(chunk[field]) for field in ("stored", "id", "chunk_id_key"))
    line = decoder.SimpleNamespace(id=name, stored_length=len(stored), plain_length=chunk["plain_length"])
    (plain,) = chunks_of(id_key, decoder.frames_of([line], "chunk"), stored)
    return plain


def chunks_of(id_key, frames, pack):
    """F-22: each chunk, or None where it is not the one named."""
    return [read_one(id_key, pack, frame, *chunk) for frame in frames for chunk in frame.chunks]


def read_one(id_key, pack, frame, name, within):
    try:
        return decoder.check_chunk(id_key, name, decoder.unpack_frame(pack, frame)[within])
    except decoder.Refused:
        return None


def read_lines(plain):
    """The lines of a pack's own directory, and where that begins."""
    (length,) = struct.unpack("<I", plain[-4:])
    decoder.need(length <= len(plain) - 4, "pack")
    start = len(plain) - 4 - length
    return decoder.parse_strict("PackDirectory", plain[start:-4], "pack").chunks, start


def read_directory(plain):
    """F-20: the frames of a pack by its own directory."""
    lines, start = read_lines(plain)
    frames = decoder.frames_of(lines, "pack")
    used = sum(frame.stored for frame in frames)
    decoder.need(used <= start and not any(plain[used:start]), "pack")
    return frames


def read_index_of(plain):
    """F-21: the frames of a pack by an index that has the lines of its directory."""
    ref = decoder.SimpleNamespace(name=bytes(16), length=16384, hash=b"", epoch=0)
    pack = decoder.SimpleNamespace(object=ref, chunks=read_lines(plain)[0])
    fragment = decoder.encode("IndexFragment", decoder.SimpleNamespace(packs=[pack], older=[], lost=[]))
    return decoder.read_fragment(fragment).packs[0].frames


class Objects:
    """The account of objects.json."""

    def __init__(self):
        self.given = load("objects.json")
        self.account, self.root, self.content_key, self.device_id = (
            bytes.fromhex(self.given[name]) for name in ("account", "root", "content_key", "device")
        )
        self.secret = decoder.recovery_secret(self.given["recovery_code"])
        plain = self.open("roster", self.blob("roster"), self.bound_to("roster"))
        self.roster = decoder.read_roster(self.account, plain)
        self.device = self.roster.state.devices[self.device_id]

    def blob(self, name):
        return base64.b64decode(self.given["objects"][name]["object"])

    def bound_to(self, name):
        return bytes.fromhex(self.given["objects"][name]["context"])

    def key(self, name):
        if name in ("message", "index", "pack"):
            return self.content_key
        return decoder.epoch_key(self.root, f"epoch/{name}", self.account, 0)

    def open(self, name, data, bound_to):
        """The plaintext, after the check of the hash where there is a reference."""
        if name in ("index", "keyring", "roster"):
            found = decoder.labelled_hash("hash/object", data).hex()
            decoder.need(found == self.given["objects"][name]["hash"], name)
        if name == "envelope":
            return self.envelope(data, bound_to)
        read = decoder.open_object if name == "pack" else decoder.open_message
        return read(self.key(name), bound_to, data, name)

    def envelope(self, data, bound_to):
        class Store:
            def envelope(self, _locator, _name):
                return data

        signed, body = decoder.open_envelope(Store(), self.secret, bound_to[18:34])
        decoder.check_envelope(self.roster, signed, body)
        decoder.need([root for _, _, root in body.roots] == [self.root], "envelope")
        return b""

    def parse(self, name, plain):
        if name == "roster":
            decoder.read_roster(self.account, plain)
        elif name == "keyring":
            decoder.read_keyring(self.account, plain)
        elif name == "commit":
            commit = decoder.read_commit(self.account, self.device, 0, plain, self.given["commit_sequence"])
            same("commit", commit.own_hash.hex(), self.given["commit_hash"])
        elif name == "envelope" and plain:
            place = self.bound_to(name)
            decoder.check_envelope(self.roster, *decoder.read_envelope(place[2:18], place[18:34], plain))
        elif name == "index":
            decoder.need(plain, "missing index")
            decoder.read_fragment(plain)
        elif name == "pack":
            read_directory(plain)
        elif name == "tree page":
            leaves = len(decoder.parse_page(plain)[0].leaves)
            decoder.check_page(plain, 0, (leaves, 0), None, b"", 2)

    def fail(self, case):
        if "code" in case:
            decoder.recovery_secret(case["code"])
        elif "parse" in case:
            decoder.need(case["plain"] or case["parse"] != "envelope", "envelope")
            self.parse(case["parse"], base64.b64decode(case["plain"]))
        else:
            name, change = case["object"], case["change"]
            data, bound_to = bytearray(self.blob(name)), self.bound_to(name)
            if "flip" in change:
                data[change["flip"]] ^= 1
            elif "byte" in change:
                data[change["byte"][0]] = change["byte"][1]
            elif "zero" in change:
                data[change["zero"][0]:sum(change["zero"])] = bytes(change["zero"][1])
            elif "length" in change:
                data = data[:change["length"]].ljust(change["length"], b"\0")
            bound_to = bytes.fromhex(change["context"]) if "context" in change else bound_to
            self.parse(name, self.open(name, bytes(data), bound_to))


def check_objects():
    objects = Objects()
    for name in objects.given["objects"]:
        plain = objects.open(name, objects.blob(name), objects.bound_to(name))
        same(name, b3(plain), objects.given["objects"][name]["plain_blake3"])
        objects.parse(name, plain)
    plain = objects.open("pack", objects.blob("pack"), objects.bound_to("pack"))
    chunks = chunks_of(bytes.fromhex(objects.given["chunk_id_key"]), read_directory(plain), plain)
    same("chunks", chunks, [bytes.fromhex(chunk) for chunk in objects.given["chunks"]])
    return objects


def check_shared_frames():
    """F-20, F-22: chunks that share a frame, as the pack and as the index have them."""
    given = load("shared_frame.json")
    id_key, pack = bytes.fromhex(given["chunk_id_key"]), base64.b64decode(given["pack"])
    lines = [{**vars(line), "id": line.id.hex()} for line in read_lines(pack)[0]]
    same("lines", lines, given["lines"])
    plain = [bytes.fromhex(chunk) for chunk in given["plain"]]
    for read in (read_directory, read_index_of):
        same("shared frame", chunks_of(id_key, read(pack), pack), plain)
        for case in given["refused"]:
            pack_of_case = base64.b64decode(case["pack"])
            if case["chunks"]:
                chunks = chunks_of(id_key, read(pack_of_case), pack_of_case)
                same(case["name"], [chunk is not None for chunk in chunks], case["chunks"])
            else:
                refuses(case, lambda: read(pack_of_case))
    return len(given["refused"])


CLASSES = {"newer format": decoder.NewerFormat, "mistyped code": decoder.Mistyped}


def refuses(case, read):
    try:
        read()
    except decoder.Refused as error:
        allowed = tuple(CLASSES.get(one, decoder.Refused) for one in case.get("error", "damaged").split(" or "))
        if not isinstance(error, allowed):
            sys.exit(f"{case['name']}: {error!r}")
    else:
        sys.exit(f"{case['name']}: was accepted")


def check_must_fail(objects):
    cases = load("must_fail.json")["cases"]
    for case in cases:
        refuses(case, lambda: objects.fail(case))
    return len(cases)


def check_roster():
    """F-35: what a graph says, whether it came at once or in parts."""
    given = load("roster.json")
    account, plain = bytes.fromhex(given["account"]), base64.b64decode(given["roster"])
    whole = decoder.read_roster(account, plain)
    entries = [node.signed for node in whole.nodes]
    same("entries", [node.hash.hex() for node in whole.nodes], given["entries"])
    half = decoder.Roster(account, entries[:len(entries) // 2])
    for roster in (whole, half.unite(whole), whole.unite(half)):
        state = roster.state
        devices = [
            {"id": device.id.hex(), "revoked_after": device.revoked[0] if device.revoked else None}
            for device in state.devices.values()
        ]
        same("devices", devices, given["devices"])
        locator = lambda node: node and decoder.recipient_of(node).locator.hex()
        same("recovery", locator(state.recovery), given["recovery"])
        same("password", locator(state.password), given["password"])
        epoch, root_id, _, begun = max((one for one in state.epochs if one[2]), key=lambda one: one[:2])
        same("epoch", (epoch, root_id.hex()), (given["epoch"], given["root_id"]))
        due = any(cut.place not in begun.past for cut in roster.holding(roster.nodes))
        same("rotation", due, given["rotation_due"])


def check_enrollment():
    """F-90 … F-95 and F-98, as either side sees it."""
    given = load("enrollment.json")
    shown = given["invitation"]
    for text in (shown["text"], shown["qr"], shown["text"].replace("-", " \n").upper()):
        invitation = enrollment.read_invitation(text)
        for name in ("rendezvous", "account", "share_hash", "device", "hash"):
            same(name, getattr(invitation, name).hex(), shown[name])
        same("sequence", invitation.sequence, shown["sequence"])
    for name in enrollment.PLACES:
        same(name, enrollment.place(invitation, name).hex(), given[name]["context"])
    plain = enrollment.open_request(invitation, base64.b64decode(given["request"]["object"]))
    request = enrollment.read_request(invitation, plain)
    same("device", request.device.device.hex(), given["device"])
    revealed = enrollment.open_reveal(invitation, plain, base64.b64decode(given["reveal"]["object"]))
    same("reveal", revealed.hex(), given["inviter"]["share"])
    for side, share in (("inviter", request.share), ("joiner", revealed)):
        session = enrollment.Session(invitation, bytes.fromhex(given[side]["secret"]), share, plain)
        same("check code", session.check_code(), given["check_code"])
        answer = session.open_answer(base64.b64decode(given["answer"]["object"]))
        same("answer", answer.sequence, given["answer_sequence"])
        same("answer", (answer.hash.hex(), answer.envelope.hex()), (given["answer_hash"], given["answer_envelope"]))
    for case in given["refused"]:
        if "text" in case:
            refuses(case, lambda: enrollment.read_invitation(case["text"]))
        else:
            refuses(case, lambda: enrollment.read_request(invitation, base64.b64decode(case["request"])))
    return len(given["refused"])


def check_fork_proofs():
    given = load("fork_proof.json")
    for case in given["holds"]:
        proof = fork_proof.read_proof(base64.b64decode(case["proof"]))
        found = (proof.account.hex(), proof.device.hex(), proof.sequence, proof.witness.hex())
        same(case["name"], found, (given["account"], case["device"], case["sequence"], case["witness"]))
    for case in given["refused"]:
        refuses(case, lambda: fork_proof.read_proof(base64.b64decode(case["proof"])))
    return len(given["refused"])


def check_tree():
    """F-55 … F-59: builds the tree of tree.json anew."""
    given = load("tree.json")
    id_key, cut_key = (bytes.fromhex(given[name]) for name in ("chunk_id_key", "chunk_cut_key"))
    border_key = decoder.expand(cut_key, "cut/page-border", b"", 32)
    leaf = lambda n: decoder.SimpleNamespace(
        key=f"source\0{n:05}".encode(), value=bytes([n % 256]) * (n % 97), size=n % 97
    )
    items, level, ids = [leaf(n) for n in range(2000)], 0, []
    while True:
        pages, page, weight = [], [], 0
        for at, item in enumerate(items):
            key = item.last_key if level else item.key
            one = len(key) + 48 if level else len(key) + len(item.value) + 16
            page, weight = page + [item], weight + one
            border = int.from_bytes(decoder.keyed(border_key, struct.pack("<I", level) + key)[:8], "little")
            full = border < one << 51 or weight >= 65536 or len(page) >= 8192
            if (full and (level == 0 or len(page) > 1)) or at == len(items) - 1:
                pages.append(page)
                page, weight = [], 0
        children = []
        for page in pages:
            wire = decoder.SimpleNamespace(level=level, leaves=[] if level else page, children=page if level else [])
            data = decoder.encode("TreePage", wire)
            name = decoder.keyed(id_key, data)
            ids.append(name.hex())
            last = page[-1].last_key if level else page[-1].key
            count = sum(child.entries for child in page) if level else len(page)
            size = sum(item.size for item in page)
            children.append(decoder.SimpleNamespace(last_key=last, page=name, entries=count, size=size))
        if len(children) == 1:
            break
        items, level = children, level + 1
    same("root", {"page": ids[-1], "level": level, "entries": 2000, "size": children[0].size}, given["root"])
    same("pages", sorted(ids), sorted(given["pages"]))


def check_small_store():
    at = VECTORS / "small_store"
    expected = json.loads((at / "expected.json").read_text())
    store = decoder.Store(at / "store")
    with tempfile.TemporaryDirectory() as work:
        out = Path(work) / "out"
        account = decoder.Account(store, decoder.recovery_secret(expected["recovery_code"]))
        same("failures", decoder.Restore(account, out).failures, [])
        found = {str(path.relative_to(out)): describe(path, out) for path in out.rglob("*")}
        same("small store", found, expected["tree"])


def describe(path, out):
    meta = path.lstat()
    if path.is_symlink():
        return {"link": os.readlink(path)}
    if path.is_dir() and len(path.relative_to(out).parts) < 3:
        return {"folder": True}
    seconds, rest = divmod(meta.st_mtime_ns, 10**9)
    value = {"mode": f"{meta.st_mode:o}", "time": [seconds, rest]}
    if stat.S_ISREG(meta.st_mode):
        value["content"] = base64.b64encode(path.read_bytes()).decode()
    return value


def main():
    check_keys()
    count = check_must_fail(check_objects())
    count += check_shared_frames()
    check_roster()
    count += check_enrollment() + check_fork_proofs()
    check_tree()
    check_small_store()
    print(f"all vectors are read, {count} cases are refused")


if __name__ == "__main__":
    main()
