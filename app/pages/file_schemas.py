"""Files as the page behind a link shows them."""

from marshmallow import fields

from app.files.schemas import FileOut
from app.web.schemas import Out


class PageFileOut(FileOut):
    """A file, with names."""

    is_mine = fields.Boolean(required=True)
    shared_by_name = fields.String(required=True)
    seen_by_names = fields.List(fields.String(), required=True)


class PageFilesOut(Out):
    """What may be opened, and what may be shared: the most bytes of each kind."""

    files = fields.List(fields.Nested(PageFileOut), required=True)
    may_share = fields.Dict(fields.String(), fields.Integer(), required=True)
