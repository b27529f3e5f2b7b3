"""What the pages keep for themselves: tokens of single feeds, the signing key, edits of rules."""

from msgspec.structs import asdict, replace
from sqlalchemy import Connection, delete, func, insert, select

from aggregator.core.errors import NotFound
from aggregator.core.model import Edit, FeedLink, Undo
from aggregator.store.page_tables import edits, feed_links, site_keys
from aggregator.store.queries.base import QueryBase
from aggregator.store.undo import undoable

EDITS_KEPT = 500
SIGNING = "links"


class LinkQueries(QueryBase):
    """The catalog's feed links, signing key and edits."""

    async def feed_links(self) -> tuple[FeedLink, ...]:
        query = select(feed_links).order_by(feed_links.c.id)
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return tuple(FeedLink(**row._asdict()) for row in found)

    async def add_feed_link(self, link: FeedLink) -> FeedLink:
        values = {"path": link.path, "digest": link.digest, "created_at": link.created_at}
        add = insert(feed_links).values(values).returning(feed_links.c.id)
        added = await self._writer.execute(lambda connection: connection.execute(add).scalar_one())
        return replace(link, id=added)

    async def remove_feed_link(self, link_id: int, *, undo: Undo | None = None) -> None:
        chosen = feed_links.c.id == link_id

        def remove(connection: Connection) -> None:
            with undoable(connection, undo, [(feed_links, chosen)]):
                if not connection.execute(delete(feed_links).where(chosen)).rowcount:
                    raise NotFound("feed link", str(link_id))

        await self._writer.execute(remove)

    async def opens_feed(self, path: str, digest: str) -> bool:
        query = select(func.count()).where(feed_links.c.path == path, feed_links.c.digest == digest)
        return bool(await self._reader.read(lambda connection: connection.execute(query).scalar_one()))

    async def signing_key(self, fresh: bytes) -> bytes:
        query = select(site_keys.c.value).where(site_keys.c.name == SIGNING)
        known = await self._reader.read(lambda connection: connection.execute(query).scalar())
        if known is not None or not fresh:
            return bytes(known or b"")
        put = self._dialect.insert_ignore(site_keys)

        def agree(connection: Connection) -> bytes:
            connection.execute(put, [{"name": SIGNING, "value": fresh}])
            return bytes(connection.execute(query).scalar_one())

        return await self._writer.execute(agree)

    async def edits(self, *, limit: int = 50) -> tuple[Edit, ...]:
        query = select(edits).order_by(edits.c.id.desc()).limit(limit or None)
        found = await self._reader.read(lambda connection: connection.execute(query).all())
        return tuple(Edit(**row._asdict()) for row in found)

    async def edit(self, edit_id: int) -> Edit:
        query = select(edits).where(edits.c.id == edit_id)
        found = await self._reader.read(lambda connection: connection.execute(query).first())
        if found is None:
            raise NotFound("edit", str(edit_id))
        return Edit(**found._asdict())

    async def add_edit(self, edit: Edit) -> Edit:
        values = {name: value for name, value in asdict(edit).items() if name != "id"}
        add = insert(edits).values(values).returning(edits.c.id)

        def keep(connection: Connection) -> int:
            added: int = connection.execute(add).scalar_one()
            kept = select(edits.c.id).order_by(edits.c.id.desc()).limit(EDITS_KEPT)
            connection.execute(delete(edits).where(edits.c.id.not_in(kept.scalar_subquery())))
            return added

        return replace(edit, id=await self._writer.execute(keep))
