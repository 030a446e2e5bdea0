"""Section 10 of docs/FORMAT.md: reads an invitation, and what two devices say to each other.

A decoder of stores does not need it. Each function refuses what its clause says must be refused, as far as
no roster is needed for that.
"""

import re
import struct
from types import SimpleNamespace

import strongroom_decoder as decoder
from strongroom_decoder import Mistyped, NewerFormat, Refused, expand, extract, labelled_hash, need

FIELDS = struct.Struct("<B16s32s16s32s16sQ32s")


def read_invitation(text):
    """F-90, F-91."""
    values = [decoder.ALPHABET.find(character) for character in re.sub(r"[\s-]", "", text).lower()]
    if -1 in values or len(values) != 252:
        raise Mistyped("characters")
    number = 0
    for value in values:
        number = number << 5 | value
    data, unused = (number >> 4).to_bytes(157, "big"), number & 15
    data, check = data[:153], data[153:]
    if unused or labelled_hash("invitation-check", data)[:4] != check:
        raise Mistyped("check")
    version, rendezvous, secret, account, share_hash, device, sequence, head = FIELDS.unpack(data)
    if version > 1:
        raise NewerFormat("invitation")
    if version < 1 or sequence < 1:
        raise Mistyped("no invitation")
    return SimpleNamespace(
        rendezvous=rendezvous, secret=secret, account=account, share_hash=share_hash, device=device,
        sequence=sequence, hash=head, t1=labelled_hash("hash/invitation", data))


# Place and type of object of what is said (F-12).
PLACES = {"request": (4, 7), "reveal": (6, 9), "answer": (5, 8)}


def place(invitation, what):
    """F-12."""
    where, kind = PLACES[what]
    return decoder.context(invitation.account, 0, kind, bytes([where]) + invitation.rendezvous)


def open_request(invitation, data):
    """F-92: the message."""
    key = expand(invitation.secret, "enroll/request", invitation.t1, 32)
    return decoder.open_message(key, place(invitation, "request"), data, "request")


def read_request(invitation, plain):
    """F-92, F-93: what the new device says of itself."""
    signed = decoder.parse_strict("SignedEnrollRequest", plain, "request")
    request = decoder.parse_strict("EnrollRequest", signed.request, "request")
    decoder.check_device(request.device)
    message = invitation.t1 + signed.request
    decoder.verify(request.device.signing_key, "sign/enrollment", message, signed.signature, "request")
    need(len(request.share) == 32, "request")
    return request


def open_reveal(invitation, request, data):
    """F-98: the inviting device's share."""
    t2 = labelled_hash("hash/enrollment", invitation.t1 + request)
    key = expand(invitation.secret, "enroll/reveal", t2, 32)
    plain = decoder.open_message(key, place(invitation, "reveal"), data, "reveal")
    share = decoder.parse_strict("EnrollReveal", plain, "reveal").share
    need(len(share) == 32 and labelled_hash("hash/share", share) == invitation.share_hash, "reveal")
    return share


class Session:
    """F-94: from one side's secret, the other's share, and the message of the request."""

    def __init__(self, invitation, secret, share, request):
        curve = decoder.X25519PrivateKey.from_private_bytes(secret)
        shared = decoder.exchange(curve, share, Refused("request"))
        self.invitation, self.t2 = invitation, labelled_hash("hash/enrollment", invitation.t1 + request)
        self.secret = extract(self.t2, invitation.secret + shared, "enroll/session", b"", 32)

    def check_code(self):
        (number,) = struct.unpack("<Q", expand(self.secret, "enroll/check-code", self.t2, 8))
        digits = f"{number % 10**8:08}"
        return f"{digits[:4]} {digits[4:]}"

    def open_answer(self, data):
        """F-95."""
        key = expand(self.secret, "enroll/answer", self.t2, 32)
        plain = decoder.open_message(key, place(self.invitation, "answer"), data, "answer")
        answer = decoder.parse_strict("EnrollAnswer", plain, "answer")
        need(answer.sequence > 0 and len(answer.hash) == 32 and len(answer.envelope) == 16, "answer")
        return answer
