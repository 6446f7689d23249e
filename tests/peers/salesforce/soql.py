"""The part of SOQL that the stand-in answers: parsed strictly, evaluated over records as dicts.

What it does not know is MALFORMED_QUERY, as a typing mistake would be; nothing is skipped over.
"""

import re
from datetime import datetime, timezone

TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')"
    r"|(?P<moment>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))"
    r"|(?P<day>\d{4}-\d\d-\d\d)"
    r"|(?P<number>[+-]?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)"
    r"|(?P<sign><=|>=|!=|<>|[=<>(),]))"
)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}
ESCAPES |= {"_": "\\_", "%": "\\%"}  # Kept for LIKE.


class Wrong(Exception):
    """A query that is refused, with the vendor's code."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def malformed(message):
    return Wrong("MALFORMED_QUERY", message)


def tokens(text):
    at, found = 0, []
    while text[at:].strip():
        match = TOKEN.match(text, at)
        if not match:
            raise malformed(f"unexpected token: {text[at:at + 20]!r}")
        found.append((match.lastgroup, match.group(match.lastgroup)))
        at = match.end()
    return found


def unescaped(quoted):
    def one(match):
        if match.group(1) not in ESCAPES:
            raise malformed(f"Illegal string literal: \\{match.group(1)}")
        return ESCAPES[match.group(1)]

    return re.sub(r"\\(.)", one, quoted[1:-1], flags=re.DOTALL)


def moment(text):
    """Milliseconds since 1970 of a time in any of the forms that cross the wire."""
    text = re.sub(r"Z$", "+0000", text)
    text = re.sub(r"([+-]\d\d):(\d\d)$", r"\1\2", text)
    form = "%Y-%m-%dT%H:%M:%S.%f%z" if "." in text else "%Y-%m-%dT%H:%M:%S%z"
    return round(datetime.strptime(text, form).timestamp() * 1000)


def written(ms):
    at = datetime.fromtimestamp(ms / 1000, timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}+0000"


class Query:
    """A parsed query. `schema` gives the type of a field by object and path, or raises."""

    def __init__(self, text, schema):
        self.rest, self.schema = tokens(text), schema
        self.words("SELECT")
        self.fields = [self.name()]
        if self.fields == ["COUNT"] or self.fields == ["count"]:
            self.signs("(", ")")
        while self.is_sign(","):
            self.signs(",")
            self.fields.append(self.name())
        self.words("FROM")
        self.object = schema.object(self.name())
        self.count = self.fields[0].upper() == "COUNT"
        self.fields = [] if self.count else [self.field(name) for name in self.fields]
        if len({name for name, _ in self.fields}) < len(self.fields):
            raise Wrong("MALFORMED_QUERY", "duplicate field selected")
        self.holds = lambda record: True
        if self.is_word("WHERE"):
            self.words("WHERE")
            self.holds = self.either()
        self.order, self.limit = [], None
        if self.is_word("ORDER"):
            self.ordering()
        if self.is_word("LIMIT"):
            self.words("LIMIT")
            self.limit = int(self.take("number"))
        if self.rest:
            raise malformed(f"unexpected token: {self.rest[0][1]!r}")

    def ordering(self):
        self.words("ORDER", "BY")
        while True:
            name, kind = self.field(self.name())
            down = self.is_word("DESC")
            if down or self.is_word("ASC"):
                self.rest.pop(0)
            self.order.append((name, kind, down))
            if not self.is_sign(","):
                return
            self.signs(",")

    def run(self, records):
        found = [record for record in records if self.holds(record)]
        for name, kind, down in reversed(self.order):
            # Nulls come first, as the vendor has it.
            def key(record, name=name, kind=kind):
                value = path(record, name)
                return (value is not None, comparable(value, kind, whole=False))

            found.sort(key=key, reverse=down)
        return found[: self.limit]

    # The grammar, loosest first. AND and OR may not be mixed without brackets.

    def either(self):
        parts, words = [self.one()], set()
        while self.is_word("AND") or self.is_word("OR"):
            words.add(self.rest.pop(0)[1].upper())
            parts.append(self.one())
        if len(words) > 1:
            raise malformed("AND and OR need brackets between them")
        if words == {"OR"}:
            return lambda record: any(part(record) for part in parts)
        return lambda record: all(part(record) for part in parts)

    def one(self):
        if self.is_word("NOT"):
            self.words("NOT")
            inner = self.one()
            return lambda record: not inner(record)
        if self.is_sign("("):
            self.signs("(")
            inner = self.either()
            self.signs(")")
            return inner
        name, kind = self.field(self.name())
        return self.comparison(name, kind)

    def comparison(self, name, kind):
        if self.is_word("NOT") or self.is_word("IN"):
            negated = self.is_word("NOT")
            self.words(*(["NOT", "IN"] if negated else ["IN"]))
            self.signs("(")
            values = [self.literal(name, kind)]
            while self.is_sign(","):
                self.signs(",")
                values.append(self.literal(name, kind))
            self.signs(")")
            return lambda record: (comparable(path(record, name), kind) in values) != negated
        if self.is_word("LIKE"):
            self.words("LIKE")
            pattern = like(self.literal(name, kind))
            return lambda record: bool(pattern.fullmatch(str(path(record, name) or "")))
        sign = self.take("sign")
        value = self.literal(name, kind)

        def holds(record):
            own = comparable(path(record, name), kind)
            if sign in ("!=", "<>"):
                return own != value
            if sign == "=":
                return own == value
            if own is None or value is None:
                return False
            results = {"<": own < value, "<=": own <= value, ">": own > value, ">=": own >= value}
            return results[sign]

        if sign not in ("=", "!=", "<>", "<", "<=", ">", ">="):
            raise malformed(f"unexpected token: {sign!r}")
        return holds

    def literal(self, name, kind):
        if not self.rest:
            raise malformed("unexpected end of the query")
        group, text = self.rest.pop(0)
        if group == "name" and text.lower() == "null":
            return None
        fits = {
            "text": ("text",),
            "boolean": ("name",),
            "number": ("number",),
            "moment": ("moment",),
            "day": ("day",),
        }
        if group not in fits[kind]:
            raise Wrong("INVALID_FIELD", f"value of filter criterion for field '{name}' must be of type {kind}")
        if group == "text":
            return unescaped(text).casefold()
        if group == "name":
            if text.lower() not in ("true", "false"):
                raise malformed(f"unexpected token: {text!r}")
            return text.lower() == "true"
        # Filters ignore milliseconds.
        return {"number": float, "day": str, "moment": lambda at: moment(at) // 1000}[group](text)

    # The pieces.

    def field(self, name):
        return self.schema.field(self.object, name)

    def take(self, group):
        if not self.rest or self.rest[0][0] != group:
            raise malformed(f"unexpected token: {self.rest[0][1] if self.rest else '<EOF>'!r}")
        return self.rest.pop(0)[1]

    def name(self):
        return self.take("name")

    def is_word(self, word):
        return bool(self.rest) and self.rest[0][0] == "name" and self.rest[0][1].upper() == word

    def is_sign(self, sign):
        return bool(self.rest) and self.rest[0] == ("sign", sign)

    def words(self, *words):
        for word in words:
            if not self.is_word(word):
                raise malformed(f"expected {word}")
            self.rest.pop(0)

    def signs(self, *signs):
        for sign in signs:
            if not self.is_sign(sign):
                raise malformed(f"expected {sign!r}")
            self.rest.pop(0)


def path(record, name):
    for step in name.split("."):
        record = record.get(step) if record else None
    return record


def comparable(value, kind, whole=True):
    if value is None:
        return None
    if kind == "moment":
        return moment(value) // (1000 if whole else 1)
    if kind == "number":
        return float(value)
    return str(value).casefold() if kind == "text" else value


def like(pattern):
    out = ""
    for piece in re.findall(r"\\[%_]|.", pattern or "", flags=re.DOTALL):
        out += {"%": ".*", "_": "."}.get(piece, re.escape(piece[-1]))
    return re.compile(out, re.IGNORECASE | re.DOTALL)
