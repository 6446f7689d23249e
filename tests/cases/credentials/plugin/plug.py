"""Uses a token once a start, and gets another one for it: each is one more than the one before."""

from dataclasses import dataclass

from gantry_plugin import Batch, Capture, Plugin, Record, Secret, Suggestion, run


@dataclass
class Config:
    refresh_token: Secret


class Tokens(Plugin[Config]):
    """A system that replaces the token that it is given."""

    name = "tokens"
    version = "0.1.0"
    rotates = ["refresh_token"]
    used = False

    async def suggest(self, role, told, field):
        return [Suggestion("the one from the setup page")] if role is None else []


class Uses(Capture[Tokens, None]):
    async def poll(self, position, limit):
        if self.plugin.used:
            return Batch()
        self.plugin.used = True
        used = self.plugin.config.refresh_token.expose()
        n = int(used.rpartition("-")[2])
        await self.cx.rotated("refresh_token", Secret(f"canary-token-{n + 1}"))
        self.cx.log.info("the shop gave canary-token-%d", n + 1)
        return Batch([Record.json({"use": f"use-{n}"}, message_id=str(n), position=str(n))])


if __name__ == "__main__":
    run(Tokens, capture=Uses)
