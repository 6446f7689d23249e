"""The plug-in against the fake upstream, without a hub: `python3 -m unittest`."""

from __future__ import annotations

#@if capture
import json
#@end
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "plugin"))

#@if callback
from gantry_plugin import Delivery
#@end
#@if lookup
from gantry_plugin import Query
#@end
from gantry_plugin import Context, Error, ErrorClass, Secret

import plug
from upstream import Upstream

CX = Context("other")


class PluginTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.upstream = Upstream("127.0.0.1:0")
        self.plugin = self.connected(self.upstream.start(), "let-me-in")

    def tearDown(self) -> None:
        self.upstream.shutdown()
        self.upstream.server_close()

    def connected(self, endpoint: str, token: str) -> plug.@Name@:
        config = plug.Config(endpoint, Secret(token))
        self.assertEqual(plug.@Name@.validate(config), [])
        return plug.@Name@(config, CX)

    def test_an_endpoint_that_is_no_url_is_told(self) -> None:
        faults = plug.@Name@.validate(plug.Config("other.example"))
        self.assertEqual([fault.path for fault in faults], ["endpoint"])

    async def test_it_checks_whether_the_other_system_lets_it_in(self) -> None:
        await self.plugin.check()
        with self.assertRaises(Error) as denied:
            await self.connected(self.upstream.endpoint, "wrong").check()
        self.assertIs(denied.exception.error_class, ErrorClass.AUTH_DENIED)
        # Nobody listens there: the hub will try again.
        with self.assertRaises(OSError) as absent:
            await self.connected("http://127.0.0.1:1", "").check()
        self.assertIs(Error.of(absent.exception).error_class, ErrorClass.TRANSIENT)

    #@if capture
    async def test_it_captures_all_things_once_page_by_page(self) -> None:
        capture = plug.Things(self.plugin, plug.ThingsSettings("/things"), CX)
        position, ids, more = None, [], True
        while more:
            batch = await capture.poll(position, 10)
            ids += [json.loads(record.payload)["id"] for record in batch.records]
            position, more = str(batch.position_after).encode(), batch.more
        self.assertEqual(ids, list(range(1, 26)))
        self.assertEqual((await capture.poll(position, 10)).records, [])

    #@end
    #@if lookup
    async def test_it_finds_owners_and_says_who_is_unknown(self) -> None:
        lookup = plug.Owners(self.plugin, plug.OwnersSettings("/owners", "customer_id"), CX)
        queries = [Query({"customer_id": "C-0"}), Query({"customer_id": "C-7"}), Query({})]
        known, *unknown = await lookup.lookup(queries)
        assert known is not None and not isinstance(known, Error)
        self.assertEqual(known.attributes["tier"], "gold")
        self.assertEqual(unknown, [None, None])

    #@end
    #@if callback
    async def test_it_tells_each_event_once_however_often_it_is_delivered(self) -> None:
        delivery = Delivery("key-1", "done", 7, "thing-1", "things", 0, 1, 1, {}, {})
        callback = plug.Events(self.plugin, plug.EventsSettings("/events"), CX)
        for expected in ["done", "already_done"]:
            [outcome] = await callback.deliver([delivery])
            self.assertEqual(outcome.name, expected)
        nowhere = plug.Events(self.plugin, plug.EventsSettings("/nowhere"), CX)
        [outcome] = await nowhere.deliver([delivery])
        self.assertEqual(outcome.name, "refused")

    #@end

if __name__ == "__main__":
    unittest.main()
