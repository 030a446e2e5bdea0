"""Makes messages.xml, calls.xml and contacts.vcf from real chat lines; see SOURCES.md.

usage: make_messages.py DATASET.json IMAGE FOLDER

DATASET.json is that of the Python package chitchat-dataset 0.9.0, IMAGE a small picture for the multimedia
messages. The same input gives the same files: numbers and times come from a fixed seed.
"""
import base64
import json
import random
import sys
from html import escape

dataset, image, folder = sys.argv[1:]
dice = random.Random(2014)
NAMES = ["Ana Ilić", "Bo", "Chi Nguyen", "Déborah", "(Unknown)", "Émile", "Femi", "Grüner Tisch", "Hana", "Ivo"]
PEOPLE = [(f"+120255501{n:02d}", name) for n, name in zip(range(10, 20), NAMES)]
EMOJI = ["\U0001f600", "\U0001f44d", "\U0001f389", "\u2764", "\U0001f1e7\U0001f1f7"]


def quoted(text):
    """The value of an attribute, with characters beyond the first plane as pairs, as many exporters write them."""
    out = []
    for character in escape(text):
        code = ord(character)
        if code > 0xFFFF:
            code -= 0x10000
            out.append(f"&#{0xD800 + (code >> 10)};&#{0xDC00 + (code & 0x3FF)};")
        elif character == "\n":
            out.append("&#10;")
        elif code >= 32:
            out.append(character)
    return '"' + "".join(out) + '"'


def element(name, attributes):
    return f"<{name} " + " ".join(f"{key}={quoted(str(value))}" for key, value in attributes.items())


def lines():
    conversations = json.load(open(dataset, encoding="utf-8"))
    for conversation in list(conversations.values())[:400]:
        for turn in conversation["messages"]:
            for message in turn:
                text = message["text"].strip()
                if text:
                    yield text


def sms(date, text):
    number, name = dice.choice(PEOPLE)
    kind = dice.choices([1, 2, 3, 5], weights=[48, 48, 2, 2])[0]
    if dice.random() < 0.05:
        text += " " + dice.choice(EMOJI)
    if dice.random() < 0.02:
        text = text.replace(". ", ".\n")
    return element("sms", {
        "protocol": 0, "address": number, "date": date, "type": kind, "subject": "null", "body": text,
        "toa": "null", "sc_toa": "null", "service_center": "null" if kind != 1 else "+12025550199", "read": 1,
        "status": -1, "locked": 0, "date_sent": date - 900 if kind == 1 else 0, "sub_id": 1,
        "readable_date": "never parsed", "contact_name": name,
    }) + " />"


def mms(date, number, text, picture):
    smil = '<smil><body><par><img src="p.png"/><text src="t.txt"/></par></body></smil>'
    part = {"chset": "106", "cd": "null", "fn": "null", "ctt_s": "null", "ctt_t": "null"}
    parts = [
        {"seq": -1, "ct": "application/smil", "name": "null", **part, "cid": "<smil>", "cl": "smil.xml", "text": smil},
        {"seq": 0, "ct": "image/png", "name": "p.png", **part, "cid": "<p>", "cl": "p.png", "text": "null",
         "data": picture},
        {"seq": 1, "ct": "text/plain", "name": "null", **part, "cid": "<t>", "cl": "t.txt", "text": text},
    ]
    head = element("mms", {
        "text_only": 0, "sub": "null", "date": date, "date_sent": date // 1000, "read": 1, "seen": 1, "locked": 0,
        "msg_box": 1, "address": "~".join(number), "m_id": f"id{date}", "m_type": 132, "m_size": len(picture),
        "ct_t": "application/vnd.wap.multipart.related", "tr_id": f"T{date}", "v": 18, "sub_id": 1,
        "readable_date": "never parsed", "contact_name": "null",
    })
    body = "".join(element("part", attributes) + " />" for attributes in parts)
    addresses = [(number[0], 137)] + [(other, 151) for other in number[1:]]
    addrs = "".join(element("addr", {"address": a, "type": t, "charset": 106}) + " />" for a, t in addresses)
    return f"{head}><parts>{body}</parts><addrs>{addrs}</addrs></mms>"


def call(date):
    number, name = dice.choice(PEOPLE)
    kind = dice.choice([1, 1, 2, 2, 3, 5, 6])
    return element("call", {
        "number": number, "duration": dice.randrange(1, 3600) if kind in (1, 2) else 0, "date": date, "type": kind,
        "presentation": 1, "subscription_id": 1, "post_dial_digits": "", "subscription_component_name": "null",
        "readable_date": "never parsed", "contact_name": name,
    }) + " />"


def document(path, root, records):
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.write("<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n")
        out.write("<!--numbers and times are made up-->\n")
        out.write(f'<{root} count="{len(records)}" backup_set="1" type="full">\n')
        out.writelines(f"  {record}\n" for record in records)
        out.write(f"</{root}>\n")


def cards():
    picture = base64.b64encode(open(image, "rb").read()[:3000]).decode()
    for place, (number, name) in enumerate(PEOPLE):
        version = "4.0" if place % 2 else "3.0"
        yield f"BEGIN:VCARD\r\nVERSION:{version}\r\nUID:urn:uuid:00000000-0000-4000-8000-{place:012d}\r\n"
        yield f"FN:{name}\r\nN:{name};;;;\r\nTEL:{number}\r\n"
        if place == 3:
            yield "NOTE:a note that is long enough to be folded over more than one line of the\r\n  file\r\n"
        if place == 5:
            folded = "\r\n ".join(picture[at:at + 74] for at in range(0, len(picture), 74))
            yield f"PHOTO:data:image/png;base64,\r\n {folded}\r\n"
        yield "END:VCARD\r\n"


picture = base64.b64encode(open(image, "rb").read()).decode()
date, messages = 1400000000000, []
for text, _ in zip(lines(), range(4000)):
    date += dice.randrange(1000, 40_000_000)
    messages.append(sms(date, text))
for text in ["look at this", "two of us \U0001f604", "again, for everybody"]:
    date += dice.randrange(1000, 40_000_000)
    messages.append(mms(date, [number for number, _ in dice.sample(PEOPLE, 2)], text, picture))
document(f"{folder}/messages.xml", "smses", messages)
document(f"{folder}/calls.xml", "calls", [call(1400000000000 + n * 86_000_000) for n in range(400)])
open(f"{folder}/contacts.vcf", "w", encoding="utf-8", newline="").write("".join(cards()))
