"""USP (TR-369) for a controller: the wire format, the messages, endpoint identifiers. Knows no broker and no lines."""
