"""What Alembic runs: the migrations, on the connection (and in the transaction) that the store hands over."""

from alembic import context

from monitor.store.tables import metadata

connection = context.config.attributes["connection"]
if connection is None:
    raise SystemExit("migrations run when the store is opened: monitor.store.state.StateStore(url)")
# Without its own transaction: the store's is around everything, so a migration happens whole or not at all.
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False, render_as_batch=True)
context.run_migrations()
