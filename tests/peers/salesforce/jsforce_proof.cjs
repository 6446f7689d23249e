// jsforce, a client that others wrote, takes the stand-in for an org. Argument: where it listens.

const assert = require("node:assert/strict");
const jsforce = require("jsforce");

async function main(endpoint) {
  const app = (clientSecret) =>
    new jsforce.Connection({
      version: "66.0",
      oauth2: { loginUrl: endpoint, clientId: "gantry-app", clientSecret },
    });
  await assert.rejects(app("wrong").authorize({ grant_type: "client_credentials" }), /invalid client/);
  const crm = app("an-open-secret");
  const user = await crm.authorize({ grant_type: "client_credentials" });
  assert.equal(user.organizationId, "00D000000000001EAA");

  const made = [];
  for (let n = 0; n < 450; n++) {
    const company = n ? "Acme" : "O'Neil & Söhne";
    const lead = await crm.sobject("Lead").create({ LastName: `Lead ${n}`, Company: company });
    assert.equal(lead.success, true);
    made.push(lead.id);
  }

  // Pages: by hand, and all at once.
  const headers = { "Sforce-Query-Options": "batchSize=200" };
  const soql = "SELECT Id FROM Lead ORDER BY SystemModstamp, Id";
  let page = await crm.query(soql, { headers });
  assert.deepEqual([page.totalSize, page.done, page.records.length], [450, false, 200]);
  page = await crm.queryMore(page.nextRecordsUrl, { headers });
  assert.equal(page.records[0].Id, made[200]);
  const all = await crm.query(soql, { headers, autoFetch: true, maxFetch: 1000 });
  assert.deepEqual(all.records.map((record) => record.Id), made);

  // What was created can be read, changed, found by a condition, and deleted.
  const leads = crm.sobject("Lead");
  assert.equal((await leads.retrieve(made[0])).Company, "O'Neil & Söhne");
  assert.equal((await leads.update({ Id: made[0], Status: "Working" })).success, true);
  const found = await leads.find({ Company: "O'Neil & Söhne", Status: { $like: "Work%" } }, "Id, Status");
  assert.deepEqual(found.map((record) => [record.Id, record.Status]), [[made[0], "Working"]]);
  const since = jsforce.SfDate.toDateTimeLiteral(new Date(Date.now() - 3_600_000));
  const recent = await leads.find({ SystemModstamp: { $gte: since } }, "Id").limit(5);
  assert.equal(recent.length, 5);
  const key = { Gantry_Key__c: "k-1", Subject: "Call", WhoId: made[0] };
  assert.equal((await crm.sobject("Task").upsert(key, "Gantry_Key__c")).success, true);
  assert.equal((await crm.sobject("Task").upsert(key, "Gantry_Key__c")).success, true);
  const tasks = await crm.query("SELECT Id, Who.Name FROM Task");
  assert.deepEqual(tasks.records.map((task) => task.Who.Name), ["Lead 0"]);

  // Composite.
  const url = `/services/data/v66.0/sobjects/Lead/${made[0]}`;
  const part = { method: "PATCH", url, referenceId: "a", body: { Status: "Closed" } };
  const body = JSON.stringify({ allOrNone: true, compositeRequest: [part] });
  const answer = await crm.request({
    method: "POST", url: "/services/data/v66.0/composite", body, headers: { "content-type": "application/json" },
  });
  assert.equal(answer.compositeResponse[0].httpStatusCode, 204);
  assert.equal((await leads.retrieve(made[0])).Status, "Closed");

  assert.equal((await leads.destroy(made[0])).success, true);
  const gone = (error) => error.errorCode === "ENTITY_IS_DELETED";
  await assert.rejects(leads.retrieve(made[0]), gone);
  const deleted = await crm.query("SELECT Id FROM Lead WHERE IsDeleted = true", { scanAll: true });
  assert.deepEqual(deleted.records.map((record) => record.Id), [made[0]]);
  const wrong = (error) => error.errorCode === "INVALID_FIELD";
  await assert.rejects(crm.query("SELECT Nonsense FROM Lead"), wrong);
  assert.deepEqual(crm.limitInfo.apiUsage, { used: 7, limit: 100000 });
  console.log("jsforce takes it for an org");
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
