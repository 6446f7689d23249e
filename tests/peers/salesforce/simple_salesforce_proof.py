"""simple-salesforce, a client that others wrote, takes the stand-in for an org.

Arguments: where the stand-in listens (https), the certificates to trust, and the app's key.
"""

import sys
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

endpoint, trusted, key = sys.argv[1:]


class HereInsteadOfThere(HTTPAdapter):
    """The client puts the vendor's domain behind every name: lead it to the stand-in."""

    def send(self, request, **options):
        parts = urlsplit(request.url)
        if parts.hostname.endswith(".salesforce.com"):
            request.url = urlunsplit(parts._replace(netloc=urlsplit(endpoint).netloc))
        return super().send(request, **options)


def session():
    made = requests.Session()
    made.mount("https://", HereInsteadOfThere())
    made.verify, made.trust_env = trusted, False
    return made


def raises(kind, act):
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def app(secret="an-open-secret"):
    named = {"consumer_key": "gantry-app", "consumer_secret": secret, "domain": "acme.my"}
    return Salesforce(**named, session=session(), version="66.0")


refused = raises(SalesforceAuthenticationFailed, lambda: app("wrong"))
assert "invalid_client" in str(refused), refused
signed = {"username": "gantry@acme.example", "consumer_key": "gantry-app", "privatekey_file": key}
Salesforce(**signed, session=session(), version="66.0").limits()

crm = app()
assert crm.limits()["DailyApiRequests"]["Max"] == 100000
names = [f"Lead {n:03}" for n in range(450)]
first = crm.Lead.create({"LastName": names[0], "Company": "O'Neil & Söhne"})
assert first["success"] is True and len(first["id"]) == 18, first
for name in names[1:]:
    crm.Lead.create({"LastName": name, "Company": "Acme"})

# Pages: by hand, and all at once.
soql = "SELECT Id, LastName FROM Lead ORDER BY LastName"
small = {"Sforce-Query-Options": "batchSize=200"}
page = crm.query(soql, headers=small)
assert (page["totalSize"], page["done"], len(page["records"])) == (450, False, 200), page
page = crm.query_more(page["nextRecordsUrl"], identifier_is_url=True, headers=small)
assert [page["records"][0]["LastName"], page["done"]] == ["Lead 200", False]
every = [record["LastName"] for record in crm.query_all_iter(soql, headers=small)]
assert every == names

# What was created can be read, changed, found by any condition, and deleted.
lead = crm.Lead.get(first["id"])
assert lead["Company"] == "O'Neil & Söhne" and lead["attributes"]["type"] == "Lead"
assert crm.Lead.update(first["id"], {"Status": "Working"}) == 204
found = crm.query("SELECT Id, Status FROM Lead WHERE Company = 'O\\'Neil & Söhne' AND Status != null")
assert [record["Status"] for record in found["records"]] == ["Working"]
like = crm.query("SELECT Id FROM Lead WHERE LastName LIKE 'Lead 01_' OR LastName IN ('Lead 400')")
assert like["totalSize"] == 11, like["totalSize"]
since = lead["SystemModstamp"][:19] + "Z"
newer = crm.query(f"SELECT Id FROM Lead WHERE SystemModstamp >= {since} AND (NOT Status = 'Working')")
assert newer["totalSize"] == 449, newer["totalSize"]

# Composite: both, or neither.
root = "/services/data/v66.0/sobjects"
key_path = f"{root}/Task/Gantry_Key__c/k-1"


def both(status):
    parts = [
        {"method": "PATCH", "url": f"{root}/Lead/{first['id']}", "referenceId": "a", "body": {"Status": "Closed"}},
        {"method": "PATCH", "url": key_path, "referenceId": "b", "body": {"Subject": "Call", **status}},
    ]
    asked = {"allOrNone": True, "compositeRequest": parts}
    answers = crm.restful("composite", method="POST", json=asked)["compositeResponse"]
    return [answer["httpStatusCode"] for answer in answers]


assert both({"Nonsense__c": "x"}) == [400, 400]
assert crm.Lead.get(first["id"])["Status"] == "Working"
assert both({}) == [204, 201]
assert both({}) == [204, 200]
assert crm.Lead.get(first["id"])["Status"] == "Closed"
assert crm.query("SELECT Id FROM Task")["totalSize"] == 1

crm.Lead.delete(first["id"])
gone = raises(SalesforceResourceNotFound, lambda: crm.Lead.get(first["id"]))
assert gone.content[0]["errorCode"] == "ENTITY_IS_DELETED", gone.content
assert crm.query("SELECT Id FROM Lead")["totalSize"] == 449
deleted = crm.query("SELECT Id FROM Lead WHERE IsDeleted = true", include_deleted=True)
assert [record["Id"] for record in deleted["records"]] == [first["id"]]

wrong = raises(SalesforceMalformedRequest, lambda: crm.query("SELECT Nonsense FROM Lead"))
assert wrong.content[0]["errorCode"] == "INVALID_FIELD", wrong.content
wrong = raises(SalesforceMalformedRequest, lambda: crm.query("SELECT Id FROM Lead WHERE"))
assert wrong.content[0]["errorCode"] == "MALFORMED_QUERY", wrong.content
wrong = raises(SalesforceMalformedRequest, lambda: crm.Lead.create({"Company": "x"}))
assert wrong.content[0]["errorCode"] == "REQUIRED_FIELD_MISSING", wrong.content
stranger = Salesforce(session_id="none", instance_url=endpoint, session=session(), version="66.0")
expired = raises(SalesforceExpiredSession, lambda: stranger.query("SELECT Id FROM Lead"))
assert expired.content[0]["errorCode"] == "INVALID_SESSION_ID", expired.content
print("simple-salesforce takes it for an org")
