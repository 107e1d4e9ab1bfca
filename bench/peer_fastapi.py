"""The peer over HTTP: FastAPI and SQLAlchemy, one transaction per request, the table work that a command does here.

An order's row, an event's row and the request's key, under a check that the order is new; on SQLite with WAL and
synchronous=FULL, as durable as Diptych's. Twice: as a plain function in FastAPI's threads, as its tutorial has it, and
on the event loop, which suits SQLite better. The better one counts.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

engine = create_engine(
    f"sqlite:///{Path(os.environ.get('BENCH_FOLDER', '.')) / 'peer.db'}", connect_args={"timeout": 30}
)


@event.listens_for(engine, "connect")
def durable(connection: Any, record: object) -> None:
    """Every connection: WAL, and a commit that survives power loss."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


@event.listens_for(engine, "begin")
def begin_writing(connection: Any) -> None:
    """A transaction that will write takes the lock at once, so that none fails for it later."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class Base(DeclarativeBase):
    pass


class OrderRow(Base):
    __tablename__ = "orders"
    order_id: Mapped[str] = mapped_column(primary_key=True)
    customer_id: Mapped[str]
    note: Mapped[str]


class EventRow(Base):
    __tablename__ = "events"
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    order_id: Mapped[str] = mapped_column(index=True)
    data: Mapped[str]


class KeyRow(Base):
    __tablename__ = "keys"
    key: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str]


class PlaceOrder(BaseModel):
    order_id: str
    customer_id: str
    note: str


class Receipt(BaseModel):
    key: str
    position: int


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Makes the tables."""
    Base.metadata.create_all(engine)
    yield


app = FastAPI(lifespan=lifespan)


def placed(order: PlaceOrder) -> Receipt:
    """The transaction."""
    key = str(uuid4())
    with Session(engine) as session, session.begin():
        if session.get(OrderRow, order.order_id) is not None:
            raise HTTPException(422, "This order was placed already.")
        recorded = EventRow(order_id=order.order_id, data=order.model_dump_json())
        session.add_all([OrderRow(**order.model_dump()), recorded, KeyRow(key=key, order_id=order.order_id)])
        session.flush()
        return Receipt(key=key, position=recorded.position)


@app.post("/threaded")
def threaded(order: PlaceOrder) -> Receipt:
    """In a thread."""
    return placed(order)


@app.post("/inline")
async def inline(order: PlaceOrder) -> Receipt:
    """On the event loop."""
    return placed(order)
