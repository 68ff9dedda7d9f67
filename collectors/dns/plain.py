"""The commonest reply, read without dnspython: addresses for the very name that was asked, and nothing else to tell.

Only what is beyond doubt is read here: no error, no alias, no signature, no authority section, every byte accounted
for. For all else, and so for everything that is wrong in any way, the answer is None, and dnspython decides.
"""

HEADER = 12
TO_THE_QUESTION = b"\xc0\x0c"  # a compressed name: the one at byte 12
ADDRESS_SIZE = {1: 4, 28: 16}  # A, AAAA
OPT = b"\x00\x00\x29"  # EDNS: the root's name, type 41


def addresses(wire: bytes, question_end: int, rtype: int) -> frozenset[bytes] | None:
    """The addresses of type `rtype` in a reply whose question ends at `question_end`, or None: not of this kind.

    RFC 1035 section 4: QR set, opcode 0, TC clear, the reserved bit clear, RCODE 0; one question, no authority.
    """
    size = ADDRESS_SIZE.get(rtype)
    if size is None or len(wire) < question_end or wire[2] & 0xFA != 0x80 or wire[3] & 0x4F:
        return None
    answers = wire[6] << 8 | wire[7]
    if not answers or wire[4:6] != b"\0\1" or wire[8:10] != b"\0\0" or wire[10] or wire[11] > 1:
        return None
    head = TO_THE_QUESTION + bytes((0, rtype, 0, 1))
    found, at, step = [], question_end, 12 + size
    for _ in range(answers):
        record = wire[at : at + step]
        # A time to live of 2^31 and more is nonsense, which dnspython has its own word for.
        if len(record) < step or record[:6] != head or record[6] & 0x80 or record[10] << 8 | record[11] != size:
            return None
        found.append(record[12:])
        at += step
    if wire[11]:
        # No options in it: 11 bytes, the last two of them the length 0; version 0 and no extended RCODE.
        if wire[at : at + 3] != OPT or wire[at + 5 : at + 7] != b"\0\0" or wire[at + 9 : at + 11] != b"\0\0":
            return None
        at += 11
    return frozenset(found) if at == len(wire) else None
