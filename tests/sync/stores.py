"""A phone's tables, kept as a client of WatermelonDB's protocol keeps them."""

from typing import Any

from app.sync.schemas import PullOut


class Store:
    """What one phone knows, and the cursor it has reached.

    Without `tags` it never says what it knows: within one transaction, as tests that are rolled
    back are, no number tells a second change from the first.
    """

    def __init__(self, phone: Any, *, tags: bool = False) -> None:
        self.phone = phone
        self.tags = tags
        self.tables: dict[str, dict[str, Any]] = {}
        self.cursor: int | None = None
        self.etag: str | None = None

    def __getitem__(self, table: str) -> dict[str, Any]:
        return self.tables.setdefault(table, {})

    async def ask(self, **more: Any) -> Any:
        """Pull once, and give the answer as it is."""
        asked = {"last_pulled_at": self.cursor, "schema_version": 4, **more}
        query = "&".join(f"{name}={value}" for name, value in asked.items() if value is not None)
        headers = {"if-none-match": self.etag} if self.etag and self.tags else {}
        return await self.phone.get(f"/sync?{query}", **headers)

    def keep(self, answer: Any) -> dict[str, Any]:
        """Keep what an answer says; return its changes."""
        if answer.status_code == 304:
            return {}
        assert answer.status_code == 200, answer.text
        read = answer.json()
        PullOut.model_validate(read)
        changes: dict[str, Any] = read["changes"]
        for name, changed in changes.items():
            assert changed["created"] == []
            for row in changed["updated"]:
                self[name][row["id"]] = row
            for row_id in changed["deleted"]:
                self[name].pop(row_id, None)
        self.cursor, self.etag = read["timestamp"], answer.headers["etag"]
        return changes

    async def pull(self, **more: Any) -> dict[str, Any]:
        """Pull until there is no more; return the last changes."""
        while True:
            answer = await self.ask(**more)
            changes = self.keep(answer)
            if answer.status_code == 304 or not answer.json()["has_more"]:
                return changes
