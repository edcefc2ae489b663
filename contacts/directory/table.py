"""The tables of the directory: regions, contacts, their numbers and their duties.

Rows, not the domain: the domain values are in `contacts.region`, `contacts.contact` and
`contacts.assignment`. These models are the schema (alembic reads their metadata) and serve lists
and forms; they never decide anything.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel


class RegionRow(SQLModel, table=True):
    """One node of the tree. Codes: 12 digits; a site adds `-Snnn` to its parent's, a zone `-Z…`."""

    __tablename__ = "region"
    __table_args__ = (
        CheckConstraint(
            "level IN ('province','prefecture','county','township','village','site','zone')",
            name="ck_region_level",
        ),
        CheckConstraint("kind IN ('gov','corps')", name="ck_region_kind"),
        CheckConstraint("headcount >= 0", name="ck_region_headcount"),
    )

    code: str = Field(primary_key=True, max_length=24)
    parent_code: str | None = Field(default=None, foreign_key="region.code", index=True)
    level: str
    name: str = Field(max_length=120)
    kind: str = "gov"
    headcount: int = 0
    boundary_json: str | None = None
    """A GeoJSON geometry (WGS 84), or nothing."""
    valid_from: date | None = None
    valid_to: date | None = None


class ContactRow(SQLModel, table=True):
    """A person or an endpoint that can be called."""

    __tablename__ = "contact"
    __table_args__ = (
        CheckConstraint("kind IN ('person','endpoint')", name="ck_contact_kind"),
        UniqueConstraint("key", name="uq_contact_key"),
    )

    id: int = Field(primary_key=True)
    key: str = Field(max_length=64)
    """The importer's stable key: the same row imported twice is the same contact."""
    kind: str = "person"
    name: str = Field(max_length=80)
    unit: str = Field(default="", max_length=120)
    post: str = Field(default="", max_length=80)
    language: str = "zh"
    robot_ok: bool = True
    active: bool = True
    updated_at: datetime


class NumberRow(SQLModel, table=True):
    """One address of a contact, ranked; rank 1 is tried first."""

    __tablename__ = "contact_number"
    __table_args__ = (
        CheckConstraint("kind IN ('mobile','landline','webhook')", name="ck_contact_number_kind"),
        CheckConstraint("rank >= 1", name="ck_contact_number_rank"),
        UniqueConstraint("contact_id", "rank", name="uq_contact_number_rank"),
        Index("ix_contact_number_address", "address"),
    )

    id: int = Field(primary_key=True)
    contact_id: int = Field(foreign_key="contact.id")
    rank: int
    kind: str
    address: str = Field(max_length=500)
    """E.164 for phones, an https address for webhooks."""
    failed_at: datetime | None = None
    """When a carrier last said that this number is wrong; cleared when it is edited."""


class AssignmentRow(SQLModel, table=True):
    """Who is responsible: contact × region × tier × role × hazards × valid dates."""

    __tablename__ = "assignment"
    __table_args__ = (
        CheckConstraint("tier BETWEEN 1 AND 9", name="ck_assignment_tier"),
        UniqueConstraint("contact_id", "region_code", "tier", "role", name="uq_assignment"),
        Index("ix_assignment_region", "region_code", "tier"),
    )

    id: int = Field(primary_key=True)
    contact_id: int = Field(foreign_key="contact.id")
    region_code: str = Field(foreign_key="region.code")
    tier: int
    role: str = Field(default="", max_length=80)
    hazards: str = ""
    """Hazard codes separated by commas; empty means all."""
    valid_from: date | None = None
    valid_to: date | None = None
