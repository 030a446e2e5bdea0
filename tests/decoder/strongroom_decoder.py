#!/usr/bin/env python3
"""Restores everything from a strongroom store with the recovery code.

Written from docs/FORMAT.md alone; clause numbers (F-…) are those of that page. It reads a store in a folder
(F-3), verifies all that the page says a reader must verify, and writes to a new folder. It is a second
implementation to hold the first one to its word, and a way out for whoever has nothing else. It never writes
to the store.
"""

import argparse
import base64
import hashlib
import hmac
import os
import re
import struct
import sys
import unicodedata
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

FORMAT_VERSION = 1


class Refused(Exception):
    """Something that a reader must refuse."""


class NewerFormat(Refused):
    """Written by a newer format (F-6)."""


class WrongSecret(Refused):
    """The code or password opens nothing."""


class Mistyped(Refused):
    """A code with a typing error (F-30)."""


def need(condition, what, failure=Refused):
    if not condition:
        raise failure(what)


def ascending(items):
    return all(a < b for a, b in zip(items, items[1:]))


# --- F-1, F-10: primitives -----------------------------------------------------------------------------------


def label(name):
    return b"strongroom/v1/" + name.encode()


def expand(key, name, parts, length):
    return HKDFExpand(SHA256(), length, label(name) + b"\0" + parts).derive(key)


def extract(salt, material, name, parts, length):
    return expand(hmac.digest(salt or bytes(32), material, "sha256"), name, parts, length)


def keyed(key, message):
    return blake3(message, key=key).digest()


def labelled_hash(name, message):
    return blake3(message, derive_key_context=label(name).decode()).digest()


P25519 = 2**255 - 19
D25519 = -121665 * pow(121666, -1, P25519) % P25519
L25519 = 2**252 + 27742317777372353535851937790883648493


def is_key(encoded):
    """Whether these bytes are the one encoding of a point of edwards25519 that is not of small order."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    x2 = (y * y - 1) * pow(D25519 * y * y + 1, -1, P25519) % P25519
    x = pow(x2, (P25519 + 3) // 8, P25519)
    if (x * x - x2) % P25519:
        x = x * pow(2, (P25519 - 1) // 4, P25519) % P25519
    if (x * x - x2) % P25519 or y >= P25519 or len(encoded) != 32 or (x == 0 and sign):
        return False
    for _ in range(3):
        k = D25519 * x * x * y * y % P25519
        x, y = (2 * x * y * pow(1 + k, -1, P25519) % P25519, (y * y + x * x) * pow(1 - k, -1, P25519) % P25519)
    return x != 0 or y != 1


def verify(key, name, message, signature, what):
    need(len(signature) == 64 and is_key(key) and is_key(signature[:32]), what)
    need(int.from_bytes(signature[32:], "little") < L25519, what)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, label(name) + b"\0" + message)
    except (InvalidSignature, ValueError):
        raise Refused(what) from None


def exchange(secret, public, failure):
    """X25519; a public key of low order is refused."""
    try:
        return secret.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise failure from None


class XWing:
    """F-31: the key pair of a seed."""

    def __init__(self, seed):
        material = hashlib.shake_256(seed).digest(96)
        self.kem = MLKEM768PrivateKey.from_seed_bytes(material[:64])
        self.curve = X25519PrivateKey.from_private_bytes(material[64:])
        self.curve_public = self.curve.public_key().public_bytes_raw()
        self.public = self.kem.public_key().public_bytes_raw() + self.curve_public

    def decapsulate(self, ciphertext):
        kem_part, curve_part = ciphertext[:1088], ciphertext[1088:]
        curve_secret = exchange(self.curve, curve_part, WrongSecret("envelope"))
        secret = self.kem.decapsulate(kem_part) + curve_secret + curve_part + self.curve_public
        return hashlib.sha3_256(secret + bytes.fromhex("5c2e2f2f5e5c")).digest()


# --- F-4: protobuf -------------------------------------------------------------------------------------------

PROTO = Path(__file__).resolve().parents[2] / "proto/strongroom/v1"


def read_schemas(text):
    """{message: {field number: (name, type, repeated)}} of the schemas that belong to the format."""
    text = re.sub(r"oneof \w+ \{([^}]*)\}", r"\1", re.sub("//.*", "", text)).replace(" FileType ", " uint32 ")
    fields = lambda body: re.findall(r"(repeated )?(\w+) (\w+) = (\d+);", body)
    messages = re.findall(r"message (\w+) \{([^}]*)\}", text)
    schema = lambda body: {int(n): (name, of, bool(many)) for many, of, name, n in fields(body)}
    return {message: schema(body) for message, body in messages}


SCHEMA = read_schemas("".join(path.read_text() for path in PROTO.glob("*.proto") if path.name != "local.proto"))
CHANGES = [name for number, (name, _, _) in SCHEMA["RosterEntry"].items() if 6 <= number <= 13]
NUMBERS = {
    "uint32": lambda value: value & 2**32 - 1,
    "uint64": lambda value: value,
    "int64": lambda value: value - (value >> 63 << 64),
    "sint64": lambda value: value >> 1 ^ -(value & 1),
    "bool": lambda value: int(value != 0),
}
DEFAULTS = {"bytes": b"", "string": "", **dict.fromkeys(NUMBERS, 0)}


def read_varint(data, at):
    value = shift = 0
    while True:
        need(at < len(data) and shift < 70, "protobuf")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value & (2**64 - 1), at


def write_varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def wire_fields(data):
    """(number, wire type, value) of each field."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = read_varint(data, at)
        else:
            length, at = read_varint(data, at) if kind == 2 else ({1: 8, 5: 4}.get(kind), at)
            need(length is not None and at + length <= len(data), "protobuf")
            value, at = data[at:at + length], at + length
        need(tag >> 3, "protobuf")
        yield tag >> 3, kind, value


def parse(name, data, levels=16):
    """Lenient decoding: unknown fields are passed over."""
    need(levels > 0, "protobuf")
    schema = SCHEMA[name]
    message = SimpleNamespace(**{f: [] if many else DEFAULTS.get(t) for f, t, many in schema.values()})
    for number, kind, value in wire_fields(data):
        if number not in schema:
            continue
        field, of, many = schema[number]
        need(kind == (0 if of in NUMBERS else 2), "protobuf")
        if of in SCHEMA:
            value = parse(of, value, levels - 1)
        elif of == "string":
            try:
                value = value.decode()
            except UnicodeDecodeError:
                raise Refused("protobuf") from None
        elif of in NUMBERS:
            value = NUMBERS[of](value)
        if many:
            getattr(message, field).append(value)
        else:
            setattr(message, field, value)
    return message


def encode(name, message):
    out = []
    for number, (field, of, many) in sorted(SCHEMA[name].items()):
        value = getattr(message, field)
        for one in value if many else [value]:
            if not many and (one is None if of in SCHEMA else not one):
                continue
            if of in SCHEMA or of in ("bytes", "string"):
                body = encode(of, one) if of in SCHEMA else one.encode() if of == "string" else one
                out += [write_varint(number << 3 | 2), write_varint(len(body)), body]
            else:
                one = one << 1 ^ one >> 63 if of == "sint64" else one
                out += [write_varint(number << 3), write_varint(one & 2**64 - 1)]
    return b"".join(out)


def parse_strict(name, data, what):
    try:
        message = parse(name, data)
    except Refused:
        raise Refused(what) from None
    need(encode(name, message) == data, what)
    return message


# --- F-11 … F-19: sealed objects -----------------------------------------------------------------------------

OBJECT_LENGTHS = [16384 << n for n in range(10)]
MAGIC = b"STRNGRM\x01"
HEADER = 64
SEGMENT = 65536
PACK, INDEX, KEYRING, ROSTER, COMMIT, ENVELOPE = range(1, 7)


def place_object(name):
    return b"\x01" + name


def place_commit(device, sequence):
    return b"\x02" + device + struct.pack("<Q", sequence)


def place_envelope(locator, name):
    return b"\x03" + locator + name


def context(account, epoch, kind_of_object, place, kind=""):
    return bytes([kind_of_object]) + place + account + struct.pack("<I", epoch) + kind.encode()


def object_keys(key, salt, bound_to):
    """F-13: AEAD key and commitment."""
    slot_bytes = 26 if bound_to[1] == 2 else 34 if bound_to[1] == 3 else 18
    slot, scope = bound_to[:slot_bytes], bound_to[slot_bytes:]
    both = blake3(salt + slot, key=expand(key, "object", scope, 32)).digest(length=64)
    return both[32:], both[:32]


def open_object(key, bound_to, data, what, extra=0):
    need(len(data) in OBJECT_LENGTHS, what)
    need(data[:7] != MAGIC[:7] or data[7] <= FORMAT_VERSION, what, NewerFormat)
    need(data[:8] == MAGIC, what)
    own_key, commitment = object_keys(key, data[8:32], bound_to)
    need(hmac.compare_digest(commitment, data[32:64]), what)
    aead = ChaCha20Poly1305(own_key)
    body = memoryview(data)[HEADER + extra:]
    count = -(-len(body) // (SEGMENT + 16))
    plain = []
    for index in range(count):
        nonce = struct.pack("<Q", index) + bytes([0, 0, 0, index == count - 1])
        try:
            plain.append(aead.decrypt(nonce, body[index * (SEGMENT + 16):(index + 1) * (SEGMENT + 16)], None))
        except InvalidTag:
            raise Refused(what) from None
    return b"".join(plain)


def open_message(key, bound_to, data, what, extra=0):
    plain = open_object(key, bound_to, data, what, extra)
    (length,) = struct.unpack("<I", plain[-4:])
    need(length <= len(plain) - 4 and not any(plain[length:-4]), what)
    return plain[:length]


def check_ref(ref, what, hash_lengths=(32,)):
    need(ref is not None and len(ref.name) == 16 and len(ref.hash) in hash_lengths, what)
    need(ref.length in OBJECT_LENGTHS, what)
    return ref


class Store:
    """F-2, F-3: a store in a folder, read only."""

    def __init__(self, root):
        self.root = Path(root)

    def read(self, path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            return file.read(OBJECT_LENGTHS[-1] + 1)

    def object(self, name):
        return self.read(self.root / "objects" / name.hex()[:2] / name.hex())

    def referenced(self, ref, what):
        data = self.object(ref.name)
        need(data is not None, f"missing {what}")
        need(len(data) == ref.length and labelled_hash("hash/object", data) == ref.hash, what)
        return data

    def commit(self, device, sequence):
        return self.read(self.root / "commits" / device.hex() / f"{sequence:020}")

    def sequences(self, device):
        return sorted(int(name) for name in self.names(self.root / "commits" / device.hex(), r"[0-9]{20}"))

    def envelopes(self, locator):
        names = self.names(self.root / "envelopes" / locator.hex(), r"[0-9a-f]{32}")
        return [bytes.fromhex(name) for name in sorted(names)[:4096]]

    def envelope(self, locator, name):
        return self.read(self.root / "envelopes" / locator.hex() / name.hex())

    @staticmethod
    def names(folder, form):
        return [name for name in (os.listdir(folder) if folder.is_dir() else []) if re.fullmatch(form, name)]


# --- F-30 … F-33: secrets ------------------------------------------------------------------------------------

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR = [0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]


def read_code(text, code_type, length):
    values = [ALPHABET.find(character) for character in re.sub(r"[\s-]", "", text).lower()]
    need(len(values) == -(-length * 8 // 5) + 8 and -1 not in values, "characters", Mistyped)
    check, prefix = 1, b"strongroom"
    for value in [byte >> 5 for byte in prefix] + [0] + [byte & 31 for byte in prefix] + values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    need(check == 0x2BC830A3, "check characters", Mistyped)
    need(values[0] == 0, "code", NewerFormat)
    need(values[1] == code_type, "type", Mistyped)
    number, unused = 0, (len(values) - 8) * 5 - length * 8
    for value in values[2:-6]:
        number = number << 5 | value
    need(number & (1 << unused) - 1 == 0, "unused bits", Mistyped)
    return (number >> unused).to_bytes(length, "big")


class Secret:
    """What opens an account without any device: its locator, X-Wing pair and public signing key."""

    def __init__(self, recipient, locator, seed, signing_seed):
        self.recipient, self.locator, self.pair = recipient, locator, XWing(seed)
        self.signing_public = Ed25519PrivateKey.from_private_bytes(signing_seed).public_key().public_bytes_raw()


def recovery_secret(text):
    code = read_code(text, 3, 20)
    derive = lambda name, length: extract(b"", code, f"recovery/{name}", b"", length)
    return Secret("recovery", derive("locator", 16), derive("x-wing", 32), derive("ed25519", 32))


def check_parameters(memory, passes, lanes):
    need(65536 <= memory <= 1048576 and 3 <= passes <= 10 and 1 <= lanes <= 4, "password parameters")


def password_secret(store, device_secret, password):
    secret = read_code(device_secret, 13, 16)
    locator = extract(b"", secret, "password/locator", b"", 16)
    names = store.envelopes(locator)
    need(names, "no envelope", WrongSecret)
    data = store.envelope(locator, names[0]) or b""
    info = data[HEADER + 1120:HEADER + 1164]
    need(len(info) == 44, "envelope")
    memory, passes, lanes = struct.unpack("<III", info[:12])
    check_parameters(memory, passes, lanes)
    text = unicodedata.normalize("NFC", password).encode()
    stretched = Argon2id(salt=info[12:], length=32, iterations=passes, lanes=lanes, memory_cost=memory).derive(text)
    derive = lambda name: extract(stretched, secret, name, info, 32)
    return Secret("password", locator, derive("password/x-wing"), derive("password/ed25519"))


def open_envelope(store, secret, name):
    """The envelope's message and body; who signed it is not yet checked."""
    data = store.envelope(secret.locator, name)
    need(data is not None and len(data) in OBJECT_LENGTHS, "envelope")
    extra = data[HEADER:HEADER + 1164]
    key = expand(secret.pair.decapsulate(extra[:1120]), "envelope", secret.locator + extra, 32)
    bound_to = context(bytes(16), 0, ENVELOPE, place_envelope(secret.locator, name))
    return read_envelope(secret.locator, name, open_message(key, bound_to, data, "envelope", 1164))


def read_envelope(locator, name, plain):
    signed = parse_strict("SignedEnvelope", plain, "envelope")
    body = parse_strict("EnvelopeBody", signed.body, "envelope")
    need(body.locator == locator and body.id == name and len(body.account) == 16, "envelope")
    need(1 <= len(body.roots) <= 4096 and all(len(secret.root) == 32 for secret in body.roots), "envelope")
    body.roots = [(secret.epoch, root_id(secret.epoch, secret.root), secret.root) for secret in body.roots]
    need(ascending([root[:2] for root in body.roots]), "envelope")
    check_ref(body.roster, "envelope")
    return signed, body


def check_envelope(roster, signed, body):
    """F-32: the roster has the signer and announces every root."""
    signer = roster.state.devices.get(signed.signer)
    need(signer is not None, "envelope")
    verify(signer.signing_key, "sign/envelope", signed.body, signed.signature, "envelope")
    announced = {(epoch, name) for epoch, name, _, _ in roster.state.epochs}
    need(all(root[:2] in announced for root in body.roots), "envelope")


# --- F-34 … F-38: roster and keyring -------------------------------------------------------------------------


# The signer whose right a cut takes away; None: that of the device which it names.
CUTS = {"revoke_device": None, "set_recovery": b"recovery", "set_password": b"password", "remove_password": b"password"}


class Roster:
    """F-34 … F-36, F-39: a graph of entries, verified while it is made."""

    def __init__(self, account, entries):
        need(1 <= len(entries) <= 4096, "roster")
        self.account, self.nodes, self.places = account, [], {}
        for signed in entries:
            self.accept(signed)
        self.state = self.evaluate(range(len(self.nodes)))

    def unite(self, other):
        both = {(node.depth, node.hash): node.signed for node in self.nodes + other.nodes}
        return Roster(self.account, [both[place] for place in sorted(both)])

    def accept(self, signed):
        entry = parse_strict("RosterEntry", signed.entry, "roster")
        changes = [name for name in CHANGES if getattr(entry, name) is not None]
        need(entry.account == self.account and len(changes) == 1, "roster")
        name, change = changes[0], getattr(entry, changes[0])
        need((name == "genesis") == (not self.nodes) == (not entry.parents), "roster")
        need(ascending(entry.parents) and all(parent in self.places for parent in entry.parents), "roster")
        parents = [self.nodes[self.places[parent]] for parent in entry.parents]
        node = SimpleNamespace(
            signed=signed, hash=labelled_hash("hash/roster-entry", signed.entry), signer=entry.signer, name=name,
            depth=max((parent.depth + 1 for parent in parents), default=0), place=len(self.nodes), standing=None, target=None,
            past=frozenset().union(*(parent.past | {parent.place} for parent in parents)), change=change,
            cuts=change.device if name == "revoke_device" else CUTS.get(name))
        need(not self.nodes or (self.nodes[-1].depth, self.nodes[-1].hash) < (node.depth, node.hash), "roster")
        self.check_change(name, change, entry.acceptance)
        self.nodes.append(node)
        self.places[node.hash] = node.place
        state = self.evaluate(node.past or {0})
        self.check_allowed(state, node)
        key, node.standing = self.standing(state, entry.signer)
        node.target = state.devices[change.device].added if name == "revoke_device" else None
        verify(key, "sign/roster-entry", signed.entry, signed.signature, "roster")

    def check_change(self, name, change, acceptance):
        """F-35, F-36: the change's own form, and its recipient's agreement."""
        role = {"genesis": "recovery", "set_recovery": "recovery", "set_password": "password"}.get(name)
        if role:
            recipient = change.recovery if name == "genesis" else change
            check_recipient(recipient, role)
            message = self.account + recipient.locator + recipient.public_key
            verify(recipient.signing_key, "sign/acceptance", message, acceptance, "roster")
        need(role or not acceptance, "roster")
        if name in ("genesis", "add_device"):
            check_device(change.device if name == "genesis" else change)
        if name == "genesis":
            need(len(change.salt) == 16, "roster")
            need(labelled_hash("account-id", encode("Genesis", change))[:16] == self.account, "roster")
        if name in ("genesis", "begin_epoch"):
            need(len(change.root_id) == 16, "roster")
        if name in ("genesis", "require_format"):
            need(change.format_version > 0, "roster")
            need(change.format_version <= FORMAT_VERSION, "roster", NewerFormat)
        if name == "revoke_device":
            need(len(change.device) == 16 and len(change.last_hash) == 32, "roster")

    @staticmethod
    def check_allowed(state, node):
        """F-35: what the signer may do in the state that it knew."""
        name, change = node.name, node.change
        device = state.devices.get(change.device) if name in ("add_device", "revoke_device") else None
        by_device = node.signer not in (b"recovery", b"password")
        allowed = {
            "genesis": lambda: node.signer == change.device.device,
            "add_device": lambda: device is None and len(state.devices) < 256,
            "revoke_device": lambda: device is not None and device.revoked is None,
            "remove_password": lambda: state.password is not None,
            "begin_epoch": lambda: change.epoch == max(epoch for epoch, *_ in state.epochs) + 1,
            "require_format": lambda: change.format_version > state.format_version,
        }
        need((by_device or name == "add_device") and allowed.get(name, lambda: True)(), "roster")

    @staticmethod
    def standing(state, signer):
        """The key of whoever may sign, and the entry that let it in."""
        if signer in (b"recovery", b"password"):
            node = getattr(state, signer.decode())
            need(node is not None, "roster")
            return recipient_of(node).signing_key, node.hash
        device = state.devices.get(signer)
        need(device is not None and device.revoked is None, "roster")
        return device.signing_key, device.added

    @staticmethod
    def is_void(node, cuts):
        apart = lambda cut: cut is not node and cut.place not in node.past and node.place not in cut.past
        cuts_off = lambda cut: cut.cuts == node.signer and cut.target in (None, node.standing)
        return any(cuts_off(cut) and apart(cut) for cut in cuts)

    def shut_out(self, nodes, cuts):
        found = set()
        for node in nodes:
            if node.standing in found or self.is_void(node, cuts):
                found.add(node.hash)
        return found

    def holding(self, nodes):
        """F-39: the cuts among these that hold."""
        cuts = [node for node in nodes if node.cuts is not None]
        doubtful = self.shut_out(nodes, cuts)
        tainted = self.shut_out(nodes, [cut for cut in cuts if cut.hash not in doubtful])
        return [cut for cut in cuts if cut.name == "revoke_device" or cut.hash not in tainted]

    def evaluate(self, within):
        """F-39: what the entries at these places say together."""
        nodes = [self.nodes[place] for place in sorted(within)]
        cuts = self.holding(nodes)
        state = SimpleNamespace(devices={}, epochs=[], format_version=0)
        let_in, granted = set(), {b"recovery": [], b"password": []}
        for node in nodes:
            name, change = node.name, node.change
            counts = name == "genesis" or (node.standing in let_in and not self.is_void(node, cuts))
            if name in ("genesis", "add_device") and counts:
                device = change.device if name == "genesis" else change
                if device.device not in state.devices and len(state.devices) < 256:
                    state.devices[device.device] = SimpleNamespace(
                        id=device.device, signing_key=device.signing_key, revoked=None, added=node.hash)
                    let_in.add(node.hash)
            device = state.devices.get(change.device) if name == "revoke_device" else None
            if device is not None and device.added == node.target:
                last = (change.last_sequence, change.last_hash)
                device.revoked = min(device.revoked or last, last)
            if name in ("genesis", "set_recovery", "set_password") and counts:
                granted[b"password" if name == "set_password" else b"recovery"].append(node)
                let_in.add(node.hash)
            if name in ("genesis", "begin_epoch"):
                state.epochs.append((0 if name == "genesis" else change.epoch, change.root_id, counts, node))
            if name in ("genesis", "require_format"):
                state.format_version = max(state.format_version, change.format_version)
        for role, grants in granted.items():
            past = frozenset().union(*(cut.past for cut in cuts if cut.cuts == role))
            left = [node for node in grants if node.place not in past]
            setattr(state, role.decode(), left[-1] if left else None)
        return state


def read_roster(account, plain):
    return Roster(account, parse_strict("Roster", plain, "roster").entries)


def recipient_of(node):
    return node.change.recovery if node.name == "genesis" else node.change


def check_recipient(recipient, role):
    need(recipient is not None and len(recipient.public_key) == 1216 and len(recipient.locator) == 16, "roster")
    coefficients = int.from_bytes(recipient.public_key[:1152], "little")
    need(all(coefficients >> 12 * n & 4095 < 3329 for n in range(768)), "roster")
    exchange(X25519PrivateKey.from_private_bytes(bytes([64] * 32)), recipient.public_key[1184:], Refused("roster"))
    need(not recipient.signing_key if role == "device" else is_key(recipient.signing_key), "roster")
    need((recipient.password is not None) == (role == "password"), "roster")
    if role == "password":
        given = recipient.password
        check_parameters(given.memory_kib, given.passes, given.lanes)
        need(len(given.salt) == 32, "roster")


def check_device(device):
    need(device is not None and len(device.device) == 16 and is_key(device.signing_key), "roster")
    need(len(device.name.encode()) <= 128, "roster")
    need(not any(unicodedata.category(character) == "Cc" for character in device.name), "roster")
    check_recipient(device.recipient, "device")


def root_id(epoch, root):
    return expand(root, "epoch/id", struct.pack("<I", epoch), 16)


def epoch_key(root, name, account, epoch):
    return expand(root, name, account + struct.pack("<I", epoch), 32)


def with_any(keys, read, what):
    """What the first key that fits opens: devices may have begun an epoch at once."""
    failure = Refused(what)
    for key in keys:
        try:
            return read(key)
        except Refused as error:
            failure = error
    raise failure


def open_referenced(store, account, roots, ref, name, object_type):
    """The message of a roster or keyring."""
    check_ref(ref, name)
    keys = [epoch_key(root, f"epoch/{name}", account, epoch) for epoch, _, root in roots if epoch == ref.epoch]
    bound_to = context(account, ref.epoch, object_type, place_object(ref.name))
    data = store.referenced(ref, name)
    return with_any(keys, lambda key: open_message(key, bound_to, data, name), name)


def open_roster(store, account, roots, ref):
    return read_roster(account, open_referenced(store, account, roots, ref, "roster", ROSTER))


def read_keyring(account, plain):
    """F-37: version, naming key, and the content keys of each kind as (epoch, root id, key)."""
    keyring = parse_strict("Keyring", plain, "keyring")
    need(keyring.account == account and keyring.version > 0 and len(keyring.kinds) <= 64, "keyring")
    is_key = lambda key: len(key) == 32 and any(key)
    need(is_key(keyring.naming_key) and ascending([keys.kind.encode() for keys in keyring.kinds]), "keyring")
    kinds = {}
    for keys in keyring.kinds:
        places = [(content.epoch, content.root_id, content.key) for content in keys.content_keys]
        need(1 <= len(keys.kind.encode()) <= 64 and 1 <= len(places) <= 4096 and ascending(places), "keyring")
        need(all(len(name) == 16 and is_key(key) for _, name, key in places), "keyring")
        kinds[keys.kind] = set(places)
    return keyring.version, keyring.naming_key, kinds


# --- F-40 … F-43: history ------------------------------------------------------------------------------------


def read_commit(account, device, epoch, plain, sequence):
    signed = parse_strict("SignedCommit", plain, "commit")
    verify(device.signing_key, "sign/commit", signed.commit, signed.signature, "commit")
    commit = parse_strict("Commit", signed.commit, "commit")
    need(commit.format_version <= FORMAT_VERSION, "commit", NewerFormat)
    in_place = (commit.account, commit.device, commit.sequence, commit.epoch) == (account, device.id, sequence, epoch)
    need(in_place and commit.format_version > 0 and sequence > 0, "commit")
    need(len(commit.previous) == (0 if sequence == 1 else 32) and len(commit.nonce) == 16, "commit")
    names = [state.kind.encode() for state in commit.kinds]
    need(len(names) <= 64 and ascending(names) and all(1 <= len(name) <= 64 for name in names), "commit")
    for ref in [commit.roster, commit.keyring, *(ref for state in commit.kinds for ref in state.index)]:
        check_ref(ref, "commit")
    for state in commit.kinds:
        merged = [one.device for one in state.merged]
        need(len(state.index) <= 256 and len(merged) <= 256 and ascending(merged), "commit")
        need(all(len(device) == 16 for device in merged) and 1 <= state.since <= sequence, "commit")
        if state.root is not None:
            need(len(state.root.page) == 32 and state.root.level <= 32 and state.root.entries > 0, "commit")
    need(len(commit.seen) <= 256 and ascending([head.device for head in commit.seen]), "commit")
    need(all(len(h.device) == 16 and h.sequence > 0 and len(h.hash) == 32 for h in commit.seen), "commit")
    commit.own_hash = labelled_hash("hash/commit", signed.commit)
    return commit


def open_commit(account, roster, device, roots, sequence, data):
    def open_with(root):
        bound_to = context(account, root[0], COMMIT, place_commit(device.id, sequence))
        return root[0], open_message(epoch_key(root[2], "epoch/commit", account, root[0]), bound_to, data, "commit")

    commit = read_commit(account, device, *with_any(reversed(roots), open_with, "commit"), sequence)
    if device.revoked is not None:
        last, last_hash = device.revoked
        need(sequence < last or (sequence == last and commit.own_hash == last_hash), "commit")
    need(commit.format_version >= roster.state.format_version, "commit")
    return commit


class Account:
    """F-70, steps 2 to 7: from a secret to verified heads and keys."""

    def __init__(self, store, secret):
        self.store, self.roots, self.roster = store, [], None
        failure = WrongSecret("nothing opens")
        for name in store.envelopes(secret.locator):
            try:
                self.envelope(secret, name)
            except Refused as error:
                failure = error
        if self.roster is None:
            raise failure
        self.walk()
        need(self.names(self.roster, secret), "this secret was replaced", WrongSecret)
        self.read_keyrings()

    @staticmethod
    def names(roster, secret):
        node = getattr(roster.state, secret.recipient)
        recipient = node and recipient_of(node)
        keys = (secret.pair.public, secret.signing_public)
        return recipient is not None and (recipient.public_key, recipient.signing_key) == keys

    def envelope(self, secret, name):
        signed, body = open_envelope(self.store, secret, name)
        roster = open_roster(self.store, body.account, body.roots, body.roster)
        check_envelope(roster, signed, body)
        need(self.names(roster, secret), "roster")
        self.roster = self.roster.unite(roster) if self.roster else roster
        self.account, self.roots = self.roster.account, sorted({*self.roots, *body.roots})

    def walk(self):
        """F-70, steps 4 and 5: every device's head, and what the rosters say together that a head names."""
        hinted, named, read, grown = self.roster, None, set(), True
        while grown:
            self.hashes, found, known = {}, {}, len(named.nodes) if named else 0
            for roster in filter(None, (named, hinted)):
                for device in roster.state.devices.values():
                    if device.id not in found:
                        found[device.id] = self.head(roster, device)
            for ref in [head.roster for head, _ in found.values() if head and head.roster.name not in read]:
                read.add(ref.name)
                roster = open_roster(self.store, self.account, self.roots, ref)
                named = named.unite(roster) if named else roster
            need(named, "missing commit")
            grown = len(named.nodes) > known
        self.roster = named
        found = {device: found[device] for device in named.state.devices}
        self.heads = {device: head for device, (head, _) in found.items() if head}
        self.problems = [problem for _, problems in found.values() for problem in problems]
        seen = [(head.device, one) for head in self.heads.values() for one in head.seen]
        amiss = [(by, one) for by, one in seen if self.is_amiss(one)]
        self.problems += [f"history of {one.device.hex()}: not as {by.hex()} saw it" for by, one in amiss]

    def is_amiss(self, seen):
        """F-44: the store does not show the commit that another device saw, or shows another in its place."""
        device, place = self.roster.state.devices.get(seen.device), (seen.device, seen.sequence)
        if device is None or (device.revoked is not None and seen.sequence > device.revoked[0]):
            return False
        return self.hashes.get(place) != seen.hash

    def head(self, roster, device):
        """F-41, F-42: the newest commit that opens, with what is amiss; notes the hashes of all before it."""
        sequences, problems = self.store.sequences(device.id), []
        if device.revoked is not None:
            sequences = [sequence for sequence in sequences if sequence <= device.revoked[0]]
        head = later = None
        for sequence in reversed(sequences):
            data = self.store.commit(device.id, sequence) or b""
            try:
                commit = open_commit(self.account, roster, device, self.roots, sequence, data)
                follows = later is None or later.sequence > sequence + 1 or later.previous == commit.own_hash
                need(follows, "a fork")
            except NewerFormat:
                raise
            except Refused as error:
                problems.append(f"history of {device.id.hex()}, {sequence}: {error}")
                continue
            self.hashes[device.id, sequence] = commit.own_hash
            head, later = head or commit, commit
        return head, problems

    def read_keyrings(self):
        """F-43: the keys of every keyring that a head names."""
        self.keys, naming = {}, None
        for head in self.heads.values():
            plain = open_referenced(self.store, self.account, self.roots, head.keyring, "keyring", KEYRING)
            version, key, kinds = read_keyring(self.account, plain)
            need(version == head.keyring_version and key == (naming or key), "keyring")
            naming = key
            for kind, keys in kinds.items():
                id_key = expand(naming, "naming/chunk-id", kind.encode(), 32)
                known = self.keys.setdefault(kind, SimpleNamespace(chunk_id_key=id_key, content_keys=set()))
                known.content_keys |= keys

    @staticmethod
    def reach(head, state):
        """F-43: nobody has merged what he has not seen."""
        seen = {one.device: one.sequence for one in head.seen}
        merged = {one.device: min(one.sequence, seen.get(one.device, 0)) for one in state.merged}
        return merged | {head.device: head.sequence}

    def kinds(self):
        """F-43: (name, state, whether another newest head has another tree) of every kind that a head has."""
        for name in sorted({state.kind for head in self.heads.values() for state in head.kinds}):
            states = {h.device: (h, s) for h in self.heads.values() for s in h.kinds if s.kind == name}
            reach = {d: self.reach(h, s) for d, (h, s) in states.items()}
            holds = lambda a, b: reach[a].get(b, 0) >= states[b][1].since
            newest = [d for d in states if all(holds(d, other) or not holds(other, d) for other in states)]
            need(newest, "history")
            trees = {state.root and state.root.page for state in (states[d][1] for d in newest)}
            yield name, states[max(newest, key=lambda d: (states[d][0].device_time_ms, d))][1], len(trees) > 1


# --- F-20 … F-24, F-51 … F-54: content and tree --------------------------------------------------------------


def frames_of(lines, what):
    """F-20, F-22: the frames that the lines of a directory make, each with its chunks as (id, place in the frame)."""
    need(len(lines) <= 131072 and all(len(line.id) == 32 for line in lines), what)
    need(not lines or lines[0].stored_length, what)
    frames, offset = [], 0
    for line in lines:
        if line.stored_length:
            frames.append(SimpleNamespace(offset=offset, stored=line.stored_length, plain=0, lengths=[], chunks=[]))
            offset += line.stored_length
        frame, length = frames[-1], line.plain_length
        frame.chunks.append((line.id, slice(frame.plain, frame.plain + length or None)))
        frame.lengths.append(length)
        frame.plain += length
    need(offset <= 8386496, what)
    for frame in frames:
        packed = 0 not in frame.lengths and frame.stored < frame.plain
        need((packed or frame.lengths == [0]) and max(frame.stored, frame.plain) <= 4194304, what)
        need(len(frame.lengths) == 1 or frame.plain <= 524288, what)
    return frames


def read_fragment(plain):
    fragment = parse_strict("IndexFragment", plain, "index")
    need(len(fragment.packs) <= 65536 and len(fragment.older) <= 16384 and len(fragment.lost) <= 16384, "index")
    need(all(len(name) == 16 for name in fragment.lost) and ascending(fragment.lost), "index")
    for ref in fragment.older:
        check_ref(ref, "index")
    for pack in fragment.packs:
        check_ref(pack.object, "index", (0,))
        pack.frames = frames_of(pack.chunks, "index")
    return fragment


class Content:
    """The chunks of one kind."""

    def __init__(self, store, account, kind, keys, index):
        self.store, self.account, self.kind, self.keys = store, account, kind, keys
        self.places, self.packs, self.problems, self.unpacked = {}, OrderedDict(), [], (None, b"")
        seen, todo = set(), list(index)
        while todo:
            ref = todo.pop()
            if ref.name in seen:
                continue
            seen.add(ref.name)
            try:
                todo += self.fragment(ref)
            except Refused as error:
                self.problems.append(str(error))

    def open(self, read, ref, kind_of_object, data, what):
        bound_to = context(self.account, ref.epoch, kind_of_object, place_object(ref.name), self.kind)
        keys = [key for epoch, _, key in sorted(self.keys.content_keys) if epoch == ref.epoch]
        return with_any(keys, lambda key: read(key, bound_to, data, what), what)

    def fragment(self, ref):
        data = self.store.referenced(ref, "index")
        fragment = read_fragment(self.open(open_message, ref, INDEX, data, "index"))
        for pack in fragment.packs:
            for frame in pack.frames:
                for name, within in frame.chunks:
                    self.places.setdefault(name, []).append((pack.object, frame, within))
        return fragment.older

    def pack(self, ref):
        if ref.name not in self.packs:
            data = self.store.object(ref.name)
            need(data is not None and len(data) == ref.length, "missing pack")
            self.packs[ref.name] = self.open(open_object, ref, PACK, data, "pack")
            while len(self.packs) > 16:
                self.packs.popitem(last=False)
        self.packs.move_to_end(ref.name)
        return self.packs[ref.name]

    def frame(self, ref, frame):
        """The frame's plain bytes; the last one is kept, for its chunks are mostly wanted one after the other."""
        if self.unpacked[0] is not frame:
            self.unpacked = (frame, unpack_frame(self.pack(ref), frame))
        return self.unpacked[1]

    def chunk(self, name):
        failure = Refused("missing chunk")
        for ref, frame, within in self.places.get(name, []):
            try:
                return check_chunk(self.keys.chunk_id_key, name, self.frame(ref, frame)[within])
            except Refused as error:
                failure = error
        raise failure

    def value(self, content):
        """F-24: the pieces of a run of bytes."""
        need(content.list_level <= 3 and not (content.inline and content.chunks), "record")
        left = content.length
        for piece in [content.inline] if content.inline else self.pieces(content.list_level, content.chunks):
            left -= len(piece)
            need(left >= 0, "record")
            yield piece
        need(left == 0, "record")

    def pieces(self, level, ids):
        need(len(ids) % 32 == 0, "record")
        for at in range(0, len(ids), 32):
            data = self.chunk(ids[at:at + 32])
            if level == 0:
                yield data
            else:
                need(len(data) <= 32768 * 32, "record")
                yield from self.pieces(level - 1, data)

    def leaves(self, root):
        """F-54: all entries in order."""
        if root is not None:
            yield from self.page(root.page, root.level, (root.entries, root.size), None, b"", 2, True)

    def page(self, name, level, extent, last_key, after, fewest, is_last):
        data = self.chunk(name)
        need(len(data) <= 131072, "tree page")
        items = check_page(data, level, extent, last_key, after, fewest)
        if level == 0:
            yield from ((leaf.key, leaf.value) for leaf in items)
            return
        for index, child in enumerate(items):
            at_end = is_last and index == len(items) - 1
            extent = (child.entries, child.size)
            below = (child.page, level - 1, extent, child.last_key, after, 1 if at_end else 2, at_end)
            yield from self.page(*below)
            after = child.last_key


def check_page(data, level, extent, last_key, after, fewest):
    """F-54: what is in the page."""
    page, items, keys = parse_page(data)
    count = sum(child.entries for child in items) if level else len(items)
    size = min(sum(item.size for item in items), 2**64 - 1)
    need(page.level == level and (count, size) == extent and (last_key is None or keys[-1] == last_key), "tree page")
    need(after < keys[0] and (level == 0 or len(items) >= fewest), "tree page")
    return items


def parse_page(data):
    """F-52, F-53."""
    page = parse_strict("TreePage", data, "tree page")
    items, others = (page.children, page.leaves) if page.level else (page.leaves, page.children)
    need(page.level <= 32 and 1 <= len(items) <= 8192 and not others, "tree page")
    keys = [item.last_key if page.level else item.key for item in items]
    need(ascending([b"", *keys]) and all(len(key) <= 4608 for key in keys), "tree page")
    need(all(len(leaf.value) <= 16384 for leaf in page.leaves), "tree page")
    need(all(len(child.page) == 32 and child.entries > 0 for child in page.children), "tree page")
    return page, items, keys


def unpack_frame(pack, frame):
    """F-22: the plain bytes of a frame, whose chunks are not checked yet."""
    data = pack[frame.offset:frame.offset + frame.stored]
    need(len(data) == frame.stored, "chunk")
    if frame.plain:
        try:
            parameters = zstandard.get_frame_parameters(data)
            need(parameters.dict_id == 0, "chunk")
            known = parameters.content_size
            need(known in (frame.plain, zstandard.CONTENTSIZE_UNKNOWN), "chunk")
            data = zstandard.ZstdDecompressor().decompress(data, frame.plain, allow_extra_data=False)
        except zstandard.ZstdError:
            raise Refused("chunk") from None
        need(len(data) == frame.plain, "chunk")
    return data


def check_chunk(id_key, name, data):
    need(keyed(id_key, data) == name, "chunk")
    return data


# --- F-60 … F-64: records and where they go ------------------------------------------------------------------

NAME_START = (
    "A-Za-z_\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
NAME = re.compile(f"[{NAME_START}][{NAME_START}.0-9\xb7\u0300-\u036f\u203f-\u2040-]*")
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def check_element(element, levels=4):
    need(levels > 0 and NAME.fullmatch(element.name), "record")
    need(len(element.attributes) <= 256 and len(element.children) <= 1024, "record")
    names = {attribute.name for attribute in element.attributes}
    need(len(names) == len(element.attributes) and "xmlns" not in names, "record")
    for attribute in element.attributes:
        need(NAME.fullmatch(attribute.name) and not NOT_XML.search(attribute.value), "record")
        need(not (attribute.value if attribute.base64 else attribute.data), "record")
    for child in element.children:
        check_element(child, levels - 1)


def xml(element):
    out = [f"<{element.name}"]
    for attribute in element.attributes:
        value = base64.b64encode(attribute.data).decode() if attribute.base64 else attribute.value
        if not attribute.base64:
            value = re.sub('[&<>"\t\n\r]', lambda found: REFERENCES[found[0]], value)
        out.append(f' {attribute.name}="{value}"')
    if not element.children:
        return "".join(out) + " />"
    return "".join(out) + ">" + "".join(map(xml, element.children)) + f"</{element.name}>"


def check_file(meta):
    need(meta.type in (1, 2, 3) and meta.mode <= 0o7777 and meta.modified_ns < 10**9, "record")
    target = meta.link_target
    need(1 <= len(target) <= 4096 and b"\0" not in target if meta.type == 3 else not target, "record")
    need(meta.photo is None or meta.type == 1, "record")


def parse_record(data):
    """The name of the body and the body, checked."""
    bodies = [(name, body) for name, body in vars(parse("Record", data)).items() if body is not None]
    need(len(bodies) == 1, "record")
    name, body = bodies[0]
    if name == "element":
        check_element(body)
    elif name == "contact":
        need(len(body.card) <= 16 << 20 and body.card[:11].upper() == b"BEGIN:VCARD", "record")
    else:
        check_file(body)
    return name, body


def check_component(name):
    need(1 <= len(name) <= 255 and name not in (b".", b"..") and b"/" not in name and b"\0" not in name, "path")


def split_key(key):
    source, *parts = key.split(b"\0")
    try:
        source.decode()
    except UnicodeDecodeError:
        raise Refused("record") from None
    need(parts, "record")
    for part in [source, *parts]:
        check_component(part)
    return source, parts


class Target:
    """A new folder. Everything below it is made by this program, so no link can lead out of it."""

    def __init__(self, root):
        self.root = os.fsencode(root)
        os.makedirs(self.root, exist_ok=False)
        self.folders, self.links = [], []

    def path(self, names):
        """Where a name goes; the folders on the way are made and are folders, not links."""
        path = self.root
        for name in names[:-1]:
            path = os.path.join(path, name)
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                need(os.path.isdir(path) and not os.path.islink(path), "path")
        return os.path.join(path, names[-1])

    def folder(self, names, meta):
        path = self.path([*names, b"x"])[:-2]
        os.chmod(path, 0o700)
        self.folders.append((path, meta))

    def link(self, names, meta):
        self.links.append((self.path(names), meta))

    def file(self, names, pieces, mode=0o600, time_ns=0):
        path = self.path(names)
        need(not os.path.lexists(path), "the name is taken")
        part = os.path.join(os.path.dirname(path), b".strongroom-decoder.part")
        try:
            with open(part, "xb") as file:
                for piece in pieces:
                    file.write(piece)
            os.utime(part, ns=(time_ns, time_ns))
            os.chmod(part, mode & 0o777)
            os.rename(part, path)
        finally:
            if os.path.lexists(part):
                os.remove(part)

    def finish(self):
        for path, meta in self.links:
            os.symlink(meta.link_target, path)
            os.utime(path, ns=(time_of(meta), time_of(meta)), follow_symlinks=False)
        for path, meta in sorted(self.folders, key=lambda one: one[0], reverse=True):
            os.utime(path, ns=(time_of(meta), time_of(meta)))
            os.chmod(path, meta.mode & 0o777)


def time_of(meta):
    return meta.modified_s * 10**9 + meta.modified_ns


class Restore:
    """F-70, step 7."""

    def __init__(self, account, into):
        self.account, self.target, self.failures, self.entries = account, Target(into), list(account.problems), 0
        for kind, state, is_part in account.kinds():
            if is_part:
                print(f"{kind}: another device has another state, not merged yet and not restored", file=sys.stderr)
            if kind not in account.keys:
                self.failures.append(f"{kind}: erased")
                continue
            content = Content(account.store, account.account, kind, account.keys[kind], state.index)
            self.failures += [f"{kind}: {problem}" for problem in content.problems]
            if state.root is None:
                continue
            if kind in ("messages", "calls"):
                self.elements(kind, content, state.root)
            else:
                self.paths(kind, content, state.root)
        self.target.finish()

    def records(self, kind, content, root):
        """(key, entry, body name, body) of every entry that is whole."""
        leaves = content.leaves(root)
        while True:
            try:
                key, value = next(leaves)
            except StopIteration:
                return
            except Refused as error:
                self.failures.append(f"{kind}: all that follows: {error}")
                return
            try:
                entry = parse("Entry", value)
                need(not (entry.record and entry.record_content), "record")
                data = entry.record
                if entry.record_content is not None:
                    need(entry.record_content.length <= 256 << 20, "record")
                    data = b"".join(content.value(entry.record_content))
                yield key, entry, *parse_record(data)
            except Refused as error:
                self.fail(kind, key, error)

    def fail(self, kind, key, error):
        self.failures.append(f"{kind}: {key.replace(bytes(1), b'/')!r}: {error}")

    def elements(self, kind, content, root):
        def lines():
            name = "calls" if kind == "calls" else "smses"
            yield "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n"
            yield f'<{name} count="{root.entries}">\n'
            for key, _, body_name, body in self.records(kind, content, root):
                if body_name == "element":
                    self.entries += 1
                    yield f"  {xml(body)}\n"
                else:
                    self.fail(kind, key, "record")
            yield f"</{name}>\n"

        self.target.file([kind.encode(), kind.encode() + b".xml"], (line.encode() for line in lines()))

    def paths(self, kind, content, root):
        cards = OrderedDict()
        for key, entry, body_name, body in self.records(kind, content, root):
            try:
                if body_name == "contact":
                    source, _ = split_key(key[:key.find(b"\0")] + b"\0x")
                    cards.setdefault(source, []).append(body.card)
                else:
                    source, parts = split_key(key)
                    need(body_name == "file", "record")
                    self.file([kind.encode(), source, *parts], body, entry.content, content)
                self.entries += 1
            except (Refused, OSError) as error:
                self.fail(kind, key, error)
        for source, of_source in cards.items():
            ended = [card if card.endswith(b"\n") else card + b"\r\n" for card in of_source[:-1]]
            self.target.file([kind.encode(), source], ended + of_source[-1:])

    def file(self, names, meta, content_of, content):
        need((content_of is not None) == (meta.type == 1), "record")
        if meta.type == 2:
            self.target.folder(names, meta)
        elif meta.type == 3:
            self.target.link(names, meta)
        else:
            self.target.file(names, content.value(content_of), meta.mode, time_of(meta))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", required=True, help="the store's folder")
    parser.add_argument("--into", required=True, help="a folder that does not exist yet")
    parser.add_argument("--code", help="the recovery code")
    parser.add_argument("--device-secret", help="the device secret, with --password")
    parser.add_argument("--password")
    given = parser.parse_args()
    if bool(given.code) == bool(given.device_secret and given.password):
        parser.error("give --code, or --device-secret and --password")
    store = Store(given.store)
    try:
        by_password = lambda: password_secret(store, given.device_secret, given.password)
        secret = recovery_secret(given.code) if given.code else by_password()
        restore = Restore(Account(store, secret), given.into)
    except Refused as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 4 if isinstance(error, (WrongSecret, Mistyped)) else 3
    for failure in restore.failures:
        print(failure, file=sys.stderr)
    print(f"{restore.entries} entries restored, {len(restore.failures)} problems")
    print("Nothing tells whether the store shows the newest state there ever was.")
    return 3 if restore.failures else 0


if __name__ == "__main__":
    sys.exit(main())
