"""The directory in the database: tables, import and export of regions and contacts."""
