"""A stand-in for an org of Salesforce: OAuth, SOQL with paging, sObjects, composite, limits, errors.

Built from the protocol's description, for no server of the vendor can be had. Its state lies in a
SQLite file, so that it survives being killed. The first line it prints says where it is; then a line
of JSON on standard input plays what happens in the org, and is answered by a line.
"""

import argparse
import base64
import hashlib
import json
import re
import secrets
import sqlite3
import ssl
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

# The tree stays as it is.
sys.dont_write_bytecode = True
import soql  # noqa: E402

VERSIONS = ["65.0", "66.0", "67.0"]
STAMPS = {"CreatedDate": "moment", "LastModifiedDate": "moment", "SystemModstamp": "moment"}
COMMON = {"Id": "text", "IsDeleted": "boolean", "OwnerId": "text", **STAMPS}
PERSON = {"FirstName": "text", "LastName": "text", "Email": "text", "Phone": "text"}
# Fields by object. What ends in __c are an org's own.
OBJECTS = {
    "Account": {"Name": "text", "Rating": "text", "Type": "text"},
    "Contact": {**PERSON, "Name": "text", "AccountId": "text", "MobilePhone": "text"},
    "User": {"Name": "text", "Email": "text", "Username": "text"},
    "Case": {
        "CaseNumber": "text", "Subject": "text", "Description": "text", "Status": "text",
        "Priority": "text", "Origin": "text", "IsClosed": "boolean", "AccountId": "text",
        "ContactId": "text", "Result__c": "text",
    },
    "Lead": {
        **PERSON, "Name": "text", "Company": "text", "MobilePhone": "text", "Description": "text",
        "Status": "text", "LeadSource": "text", "Rating": "text", "AnnualRevenue": "number",
        "IsConverted": "boolean", "Customer_Id__c": "text", "Segment__c": "text",
        "Product__c": "text", "Subproduct__c": "text", "Request_Type__c": "text", "Result__c": "text",
    },
    "Task": {
        "Subject": "text", "Description": "text", "Status": "text", "Priority": "text",
        "ActivityDate": "day", "WhoId": "text", "WhatId": "text", "IsClosed": "boolean",
        "Gantry_Key__c": "text",
    },
    "CaseStatus": {"ApiName": "text", "MasterLabel": "text", "IsClosed": "boolean"},
}
PREFIXES = {
    "Account": "001", "Contact": "003", "User": "005", "Case": "500", "Lead": "00Q", "Task": "00T",
    "CaseStatus": "01J",
}
PARENTS = {"Owner": ("OwnerId", "User"), "Account": ("AccountId", "Account"),
           "Contact": ("ContactId", "Contact"), "Who": ("WhoId", "Lead")}
REQUIRED = {"Lead": ["LastName", "Company"], "Case": [], "Task": [], "Contact": ["LastName"]}
READ_ONLY = ["Id", "IsDeleted", "IsClosed", "CaseNumber", *STAMPS]
EXTERNAL_IDS = {("Task", "Gantry_Key__c")}
CLOSED = {"Case": ["Closed"], "Task": ["Completed"]}


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status, code, message, fields=None, headers=None):
        super().__init__(message)
        fault = {"message": message, "errorCode": code}
        if fields is not None:
            fault["fields"] = fields
        self.status, self.body, self.headers = status, [fault], headers or {}


class Schema:
    """Names are found in any case, as the vendor finds them."""

    @staticmethod
    def object(name):
        for known in OBJECTS:
            if known.lower() == name.lower():
                return known
        raise soql.Wrong("INVALID_TYPE", f"sObject type '{name}' is not supported.")

    @staticmethod
    def field(kind, name):
        *steps, last = name.split(".")
        names = []
        for step in steps:
            parent = next((p for p in PARENTS if p.lower() == step.lower()), None)
            if not parent or PARENTS[parent][0] not in {**COMMON, **OBJECTS[kind]}:
                raise soql.Wrong("INVALID_FIELD", f"Didn't understand relationship '{step}'")
            names.append(parent)
            kind = PARENTS[parent][1]
        for known, type_name in {**COMMON, **OBJECTS[kind]}.items():
            if known.lower() == last.lower():
                return ".".join([*names, known]), type_name
        raise soql.Wrong("INVALID_FIELD", f"No such column '{last}' on entity '{kind}'.")


class Org:
    """What an org holds, and what is about to go wrong in it."""

    def __init__(self, path, client, user, public_key):
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.executescript("""
            CREATE TABLE IF NOT EXISTS record
                (object TEXT, id TEXT PRIMARY KEY, deleted INT, doc TEXT) WITHOUT ROWID;
            CREATE INDEX IF NOT EXISTS by_object ON record (object);
            CREATE TABLE IF NOT EXISTS token (value TEXT PRIMARY KEY, n_left INT);
            CREATE TABLE IF NOT EXISTS locator (id TEXT PRIMARY KEY, query TEXT, ids TEXT);
            CREATE TABLE IF NOT EXISTS made (key TEXT PRIMARY KEY, n INT);
            CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY CHECK (id = 1), n INT);
            INSERT OR IGNORE INTO counter VALUES (1, 0);
        """)
        self.client, self.user, self.public_key = client, user, public_key
        self.skew_ms, self.n_page, self.usage, self.token_life = 0, None, None, None
        self.noise = False
        # The list that is being read, by its locator.
        self.lists = {}
        self.faults, self.log = [], []
        self.lock = threading.RLock()

    def now_ms(self):
        return time.time_ns() // 1_000_000 + self.skew_ms

    # Records.

    def insert(self, kind, fields):
        kind = Schema.object(kind)
        (n,) = self.db.execute("UPDATE counter SET n = n + 1 RETURNING n").fetchone()
        now = soql.written(self.now_ms())
        record = {name: None for name in {**COMMON, **OBJECTS[kind]}}
        record |= {"IsDeleted": False, "IsClosed": False} | {stamp: now for stamp in STAMPS}
        record |= fields
        record["Id"] = fields.get("Id") or f"{PREFIXES[kind]}{n:012}AAA"
        if kind == "Case":
            record["CaseNumber"] = f"{n:08}"
        self.finish(kind, record)
        self.store(kind, record)
        return record["Id"]

    def finish(self, kind, record):
        """What the org computes of its own."""
        if "FirstName" in record and "Name" in record:
            record["Name"] = " ".join(filter(None, [record["FirstName"], record["LastName"]]))
        if kind in CLOSED:
            record["IsClosed"] = record["Status"] in CLOSED[kind]
        known = {**COMMON, **OBJECTS[kind]}
        for extra in [name for name in record if name not in known]:
            del record[extra]

    def store(self, kind, record):
        values = (kind, record["Id"], record["IsDeleted"], json.dumps(record))
        self.db.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)", values)

    def get(self, kind, record_id, deleted_too=False):
        sql = "SELECT doc, deleted FROM record WHERE object = ? AND id LIKE ? || '%'"
        row = self.db.execute(sql, (Schema.object(kind), record_id[:15])).fetchone()
        if not row:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
        if row[1] and not deleted_too:
            raise Refused(404, "ENTITY_IS_DELETED", "entity is deleted", [])
        return json.loads(row[0])

    def update(self, kind, record_id, fields, checked=False):
        record = self.get(kind, record_id, deleted_too=not checked)
        stamp = soql.written(self.now_ms())
        record |= {"SystemModstamp": stamp, "LastModifiedDate": stamp} | fields
        self.finish(kind, record)
        self.store(Schema.object(kind), record)

    def checked(self, kind, fields, creating):
        """Field names as they are; refused where the vendor refuses."""
        out = {}
        for name, value in fields.items():
            if name == "attributes":
                continue
            try:
                known, type_name = Schema.field(kind, name)
            except soql.Wrong as wrong:
                raise Refused(400, wrong.code, str(wrong), [name]) from wrong
            if known in READ_ONLY:
                text = f"Unable to create/update fields: {known}."
                raise Refused(400, "INVALID_FIELD_FOR_INSERT_UPDATE", text, [known])
            if type_name == "text" and value is not None and not isinstance(value, str):
                raise Refused(400, "JSON_PARSER_ERROR", f"Cannot deserialize {known} from {value!r}")
            if known == "Status" and kind == "Case" and value == "Impossible":
                text = "A case cannot become impossible"
                raise Refused(400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", text, [known])
            out[known] = value
        missing = [name for name in REQUIRED.get(kind, []) if creating and not out.get(name)]
        if missing:
            text = f"Required fields are missing: [{', '.join(missing)}]"
            raise Refused(400, "REQUIRED_FIELD_MISSING", text, missing)
        return out

    # Queries.

    def query(self, text, deleted_too, n_wanted, version):
        try:
            query = soql.Query(text, Schema)
        except soql.Wrong as wrong:
            raise Refused(400, wrong.code, str(wrong)) from wrong
        found = query.run(self.all(query.object, deleted_too))
        if query.count:
            return {"totalSize": len(found), "done": True, "records": []}
        ids = [record["Id"] for record in found]
        return self.page(query, ids, 0, n_wanted, version, lambda: self.keep(text, ids))

    def all(self, kind, deleted_too=False):
        sql = "SELECT doc FROM record WHERE object = ? AND deleted <= ?"
        rows = self.db.execute(sql, (kind, int(deleted_too)))
        return self.with_parents(kind, [json.loads(doc) for (doc,) in rows])

    def joined(self, kind, ids):
        sql = f"SELECT doc FROM record WHERE id IN ({', '.join('?' * len(ids))})"
        rows = self.db.execute(sql, ids)
        return self.with_parents(kind, [json.loads(doc) for (doc,) in rows])

    def with_parents(self, kind, rows):
        for parent, (key, parent_kind) in PARENTS.items():
            if rows and key in rows[0] and any(row[key] for row in rows):
                sql = "SELECT id, doc FROM record WHERE object = ?"
                known = {i: json.loads(doc) for i, doc in self.db.execute(sql, (parent_kind,))}
                for row in rows:
                    row[parent] = known.get(row[key])
        return rows

    def keep(self, text, ids):
        name = f"01g{secrets.token_hex(6)}AAA"
        self.db.execute("INSERT INTO locator VALUES (?, ?, ?)", (name, text, json.dumps(ids)))
        return name

    def next(self, locator, n_wanted, version):
        name, _, at = locator.rpartition("-")
        if name not in self.lists:
            sql = "SELECT query, ids FROM locator WHERE id = ?"
            row = self.db.execute(sql, (name,)).fetchone()
            if not row:
                raise Refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
            self.lists = {name: (soql.Query(row[0], Schema), json.loads(row[1]))}
        query, ids = self.lists[name]
        return self.page(query, ids, int(at), n_wanted, version, lambda: name)

    def page(self, query, ids, at, n_wanted, version, locator):
        end = min(at + (self.n_page or n_wanted), len(ids))
        known = {record["Id"]: record for record in self.joined(query.object, ids[at:end])}
        root = f"/services/data/v{version}"
        records = [shown(query, known[i], root) for i in ids[at:end]]
        page = {"totalSize": len(ids), "done": end >= len(ids), "records": records}
        if self.noise:
            page["mood"] = {"of": ["the", "org"]}
            for record in records:
                record["Mood__c"] = {"deep": [1, None, {"er": True}]}
        if end < len(ids):
            page["nextRecordsUrl"] = f"{root}/query/{locator()}-{end}"
        return page

    # What happens in the org, as tests and the conformance suite tell it.

    def control(self, ask):
        if "put" in ask:
            (n,) = self.db.execute("SELECT count(*) FROM record WHERE object = 'Lead'").fetchone()
            for at in range(n, n + ask["put"]):
                stamp = soql.written(self.now_ms() - 1000)
                lead = {"LastName": f"Lead {at}", "Company": "Acme", "SystemModstamp": stamp}
                self.insert("Lead", lead)
        elif "insert" in ask:
            self.db.execute("BEGIN")
            ids = [self.insert(ask["insert"], record) for record in ask["records"]]
            self.db.execute("COMMIT")
            return {"ids": ids}
        elif "update" in ask:
            self.update(ask["update"], ask["id"], ask["fields"])
        elif "delete" in ask:
            self.update(ask["delete"], ask["id"], {"IsDeleted": True})
        elif "all" in ask:
            return {"records": self.all(Schema.object(ask["all"]), True)}
        elif "faults" in ask:
            self.faults = ask["faults"]
        elif "clear" in ask:
            for table in ("record", "locator", "made"):
                self.db.execute(f"DELETE FROM {table}")
            self.lists = {}
            self.faults, self.log = [], []
        elif "expire" in ask:
            self.db.execute("DELETE FROM token")
        elif "set" in ask:
            for name, value in ask["set"].items():
                getattr(self, name)
                setattr(self, name, value)
        elif "log" in ask:
            return {"log": self.log, "faults": self.faults}
        else:
            return {"delivered": dict(self.db.execute("SELECT key, n FROM made"))}
        return {}


def shown(query, record, root):
    """A record as a query shows it."""
    out = noted(query.object, record, root)
    for name, _ in query.fields:
        *steps, last = name.split(".")
        place, source, kind = out, record, query.object
        for step in steps:
            kind, source = PARENTS[step][1], source.get(step) if source else None
            if source is None:
                place[step] = None
                break
            place = place.setdefault(step, noted(kind, source, root))
        else:
            place[last] = source[last]
    return out


def described(kind, name, type_name):
    is_open = name not in READ_ONLY
    is_key = (kind, name) in EXTERNAL_IDS
    return {"name": name, "label": name, "type": type_name, "updateable": is_open, "createable": is_open,
            "externalId": is_key, "unique": is_key}


def noted(kind, record, root):
    return {"attributes": {"type": kind, "url": f"{root}/sobjects/{kind}/{record['Id']}"}}


def signed_by(assertion, key):
    """The claims of an assertion that this key signed (RS256), else none."""
    head, claims, signature = assertion.split(".")
    decoded = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if json.loads(decoded(head)).get("alg") != "RS256":
        return None
    n, e = int(key["n"], 16), key["e"]
    size = (n.bit_length() + 7) // 8
    plain = pow(int.from_bytes(decoded(signature), "big"), e, n).to_bytes(size, "big")
    digest = hashlib.sha256(f"{head}.{claims}".encode()).digest()
    kind = bytes.fromhex("3031300d060960864801650304020105000420")
    padding = b"\xff" * (size - len(kind) - len(digest) - 3)
    good = plain == b"\x00\x01" + padding + b"\x00" + kind + digest
    return json.loads(decoded(claims)) if good else None


class Server(ThreadingHTTPServer):
    """Does not complain of connections that break: tests break them."""

    request_queue_size = 64
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Face(BaseHTTPRequestHandler):
    """The org over HTTP."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    org = None
    scheme = "http"

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return formatdate(self.org.now_ms() / 1000, usegmt=True)

    def handle_any(self):
        body = self.body()
        with self.org.lock:
            fault = self.fault()
            self.org.log.append([time.monotonic(), self.command, self.path, bool(fault)])
            if fault and not fault.get("late"):
                return self.fail(fault)
            try:
                status, answer, headers = self.route(body)
            except Refused as refused:
                status, answer, headers = refused.status, refused.body, refused.headers
            if fault:
                return self.fail(fault)
        self.answer(status, answer, headers)

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any

    def fault(self):
        """The first fault that is meant for this request, once."""
        for at, fault in enumerate(self.org.faults):
            if re.search(fault.get("path", ""), f"{self.command} {self.path}"):
                if fault.get("skip", 0) > 0:
                    fault["skip"] -= 1
                    continue
                fault["times"] = fault.get("times", 1) - 1
                if fault["times"] <= 0:
                    del self.org.faults[at]
                return fault
        return None

    def fail(self, fault):
        if "status" in fault:
            return self.answer(fault["status"], fault.get("body"), fault.get("headers", {}))
        # The answer is lost: the line is cut instead.
        self.close_connection = True
        self.connection.close()

    def answer(self, status, body, headers=None):
        payload = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json;charset=UTF-8")
        if status != 204:
            self.send_header("content-length", str(len(payload)))
        if self.org.usage:
            used, most = self.org.usage
            self.send_header("Sforce-Limit-Info", f"api-usage={used}/{most}")
        self.end_headers()
        self.wfile.write(payload)

    def route(self, body):
        path = urlsplit(self.path).path
        if path == "/services/oauth2/token":
            return self.token(dict(parse_qsl(body.decode())))
        if path.rstrip("/") == "/services/data":
            def listed(v):
                return {"label": f"Release {v}", "url": f"/services/data/v{v}", "version": v}

            return 200, [listed(v) for v in VERSIONS], {}
        self.authorize()
        match = re.fullmatch(r"/services/data/v(\d+\.\d)(?:/(.*))?", path)
        if path == "/services/apexrest/convert":
            return self.convert(json.loads(body))
        if not match or match[1] not in VERSIONS:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
        self.version = match[1]
        fields = json.loads(body) if body else {}
        steps = [unquote(step) for step in (match[2] or "").strip("/").split("/")]
        return self.resource(steps, fields)

    def resource(self, steps, fields):
        match [self.command, *steps]:
            case ["GET", ""]:
                return 200, {"sobjects": f"/services/data/v{self.version}/sobjects"}, {}
            case ["GET", "sobjects"]:
                return 200, {"sobjects": [{"name": n, "label": n} for n in OBJECTS]}, {}
            case ["GET", "limits"]:
                used, most = self.org.usage or (0, 100000)
                return 200, {"DailyApiRequests": {"Max": most, "Remaining": most - used}}, {}
            case ["GET", "query" | "queryAll" as name]:
                asked = parse_qs(urlsplit(self.path).query).get("q", [""])[0]
                page = self.org.query(asked, name == "queryAll", self.n_wanted(), self.version)
                return 200, page, {}
            case ["GET", "query" | "queryAll", locator]:
                return 200, self.org.next(locator, self.n_wanted(), self.version), {}
            case ["POST", "composite"]:
                return 200, {"compositeResponse": self.composite(fields)}, {}
            case ["GET" | "POST" | "PATCH" | "DELETE", "sobjects", kind, *rest]:
                return self.sobject(self.command, kind, rest, fields)
        raise Refused(404, "NOT_FOUND", "The requested resource does not exist")

    def n_wanted(self):
        match = re.search(r"batchSize=(\d+)", self.headers.get("sforce-query-options") or "")
        return min(max(int(match[1]), 200), 2000) if match else 2000

    def sobject(self, method, kind, rest, fields):
        try:
            kind = Schema.object(kind)
        except soql.Wrong as wrong:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist") from wrong
        match [method, *rest]:
            case ["GET", "describe"]:
                known = {**COMMON, **OBJECTS[kind]}
                listed = [described(kind, name, type_name) for name, type_name in known.items()]
                return 200, {"name": kind, "fields": listed}, {}
            case ["GET", record_id]:
                record = self.org.get(kind, record_id)
                return 200, noted(kind, record, f"/services/data/v{self.version}") | record, {}
            case ["POST"]:
                made = self.org.insert(kind, self.org.checked(kind, fields, True))
                return 201, {"id": made, "success": True, "errors": []}, {}
            case ["PATCH", record_id]:
                self.org.get(kind, record_id)
                fields = self.org.checked(kind, fields, False)
                self.org.update(kind, record_id, fields, checked=True)
                return 204, None, {}
            case ["DELETE", record_id]:
                self.org.get(kind, record_id)
                self.org.update(kind, record_id, {"IsDeleted": True})
                return 204, None, {}
            case ["PATCH", field, key]:
                return self.upsert(kind, field, key, fields)
        raise Refused(405, "METHOD_NOT_ALLOWED", "HTTP Method not allowed")

    def upsert(self, kind, field, key, fields):
        if (kind, field) not in EXTERNAL_IDS:
            raise Refused(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible")
        found = [record for record in self.org.all(kind) if record[field] == key]
        fields = self.org.checked(kind, fields, not found)
        if len(found) > 1:
            urls = [f"/services/data/v{self.version}/sobjects/{kind}/{r['Id']}" for r in found]
            return 300, urls, {}
        if found:
            self.org.update(kind, found[0]["Id"], fields, checked=True)
            return 200, {"id": found[0]["Id"], "success": True, "errors": [], "created": False}, {}
        made = self.org.insert(kind, fields | {field: key})
        sql = "INSERT INTO made VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1"
        self.org.db.execute(sql, (key,))
        return 201, {"id": made, "success": True, "errors": [], "created": True}, {}

    def composite(self, asked):
        parts, whole = asked["compositeRequest"], asked.get("allOrNone", False)
        if len(parts) > 25:
            raise Refused(400, "LIMIT_EXCEEDED", "The composite request has over 25 subrequests")
        if len({part["referenceId"] for part in parts}) < len(parts):
            raise Refused(400, "INVALID_INPUT", "referenceIds must be unique")
        answers = []
        self.org.db.execute("BEGIN")
        for part in parts:
            steps = [unquote(step) for step in urlsplit(part["url"]).path.strip("/").split("/")]
            try:
                if steps[:2] != ["services", "data"] or steps[3:4] != ["sobjects"]:
                    raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
                done = self.sobject(part["method"], steps[4], steps[5:], part.get("body", {}))
            except Refused as refused:
                done = refused.status, refused.body, refused.headers
            status, body, headers = done
            answers.append({"body": body, "httpHeaders": headers, "httpStatusCode": status,
                            "referenceId": part["referenceId"]})
        is_wrong = lambda answer: answer["httpStatusCode"] >= 300
        if whole and any(map(is_wrong, answers)):
            self.org.db.execute("ROLLBACK")
            text = "The transaction was rolled back since another operation in it failed."
            for answer in answers:
                if not is_wrong(answer):
                    answer["httpStatusCode"] = 400
                    answer["body"] = [{"errorCode": "PROCESSING_HALTED", "message": text}]
        else:
            self.org.db.execute("COMMIT")
        return answers

    def convert(self, fields):
        """A class of the org's own, as its administrator would write it."""
        done = {"Status": "Qualified", "IsConverted": True, "Result__c": fields.get("result")}
        self.org.update("Lead", fields["id"], done, checked=True)
        return 200, {"converted": True}, {}

    def token(self, fields):
        def no(error, description):
            return 400, {"error": error, "error_description": description}, {}

        org, kind = self.org, fields.get("grant_type")
        if kind == "client_credentials":
            given = {"id": fields.get("client_id"), "secret": fields.get("client_secret")}
            kind, _, pair = (self.headers.get("authorization") or "").partition(" ")
            if kind == "Basic":
                given["id"], _, given["secret"] = base64.b64decode(pair).decode().partition(":")
            if given["id"] != org.client["id"]:
                return no("invalid_client_id", "client identifier invalid")
            if given != org.client:
                return no("invalid_client", "invalid client credentials")
        elif kind == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            claims = signed_by(fields.get("assertion", ""), org.public_key)
            now = org.now_ms() / 1000
            if not claims or claims["iss"] != org.client["id"]:
                return no("invalid_client", "invalid assertion")
            if not now < int(claims["exp"]) <= now + 300:
                return no("invalid_grant", "assertion expired or too long-lived")
            if claims["sub"] != org.user or claims["aud"] != "https://login.salesforce.com":
                return no("invalid_grant", "user hasn't approved this consumer")
        else:
            return no("unsupported_grant_type", "grant type not supported")
        value = f"00D000000000001!{secrets.token_urlsafe(24)}"
        org.db.execute("INSERT INTO token VALUES (?, ?)", (value, org.token_life))
        base = f"{self.scheme}://{self.headers['host']}"
        identity = "https://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA"
        return 200, {"access_token": value, "instance_url": base, "id": identity, "scope": "api",
                     "token_type": "Bearer", "issued_at": str(org.now_ms()), "signature": "c2ln"}, {}

    def authorize(self):
        scheme, _, value = (self.headers.get("authorization") or "").partition(" ")
        sql = "UPDATE token SET n_left = n_left - 1 WHERE value = ?"
        self.org.db.execute(sql, (value,))
        sql = "SELECT 1 FROM token WHERE value = ? AND (n_left IS NULL OR n_left >= 0)"
        if scheme not in ("Bearer", "OAuth") or not self.org.db.execute(sql, (value,)).fetchone():
            raise Refused(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if self.org.usage and self.org.usage[0] >= self.org.usage[1]:
            text = "TotalRequests Limit exceeded."
            raise Refused(403, "REQUEST_LIMIT_EXCEEDED", text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", default=":memory:")
    parser.add_argument("--client-id", default="gantry-app")
    parser.add_argument("--client-secret", default="an-open-secret")
    parser.add_argument("--user", default="gantry@acme.example")
    parser.add_argument("--public-key", help="JSON of modulus n (hex) and exponent e")
    parser.add_argument("--insert", nargs=2, action="append", metavar=("OBJECT", "JSON"), default=[])
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    given = parser.parse_args()
    client = {"id": given.client_id, "secret": given.client_secret}
    org = Org(given.data, client, given.user, json.loads(given.public_key or "null"))
    for kind, fields in given.insert:
        org.insert(kind, json.loads(fields))
    server = Server(("127.0.0.1", given.port), Face)
    if given.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*given.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    port = server.server_address[1]
    Face.org, Face.scheme = org, "https" if given.tls else "http"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"endpoint": f"{Face.scheme}://127.0.0.1:{port}"}), flush=True)
    for line in sys.stdin:
        with org.lock:
            answer = org.control(json.loads(line))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
