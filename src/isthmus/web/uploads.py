"""Files that come by a form: kept in a file without a name until the view has taken them.

A form's file has to wait somewhere while the rest of the form is read. Nothing of it may stay on the disk in
the clear, so it waits in a file that has no name: the system frees it when the request ends, and also when
the process is killed. Only somebody who is signed in may leave one, only at a form that takes files, and no
more than `BYTES_MAX` of it are kept.
"""

from __future__ import annotations

import re
import tempfile
from typing import IO, Any, Final

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile

from isthmus.hub.http.actor import Caller

BYTES_MAX: Final = 25_000_000
"""What any flow may allow at most (`hub.sync.boundary`); one byte more is kept, so that the limit can refuse."""
FILES_MAX: Final = 10
"""Files that one form may carry; further ones are not kept, and the page says so."""
_FORMS: Final = re.compile(r"/incidents/\w+/attach")


class UnnamedUploadHandler(FileUploadHandler):
    """Keeps the files of the forms that take files; reads past every other one without keeping it."""

    def __init__(self, request: Any = None) -> None:
        super().__init__(request)
        self._file: IO[bytes] | None = None
        self._kept = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        caller = getattr(self.request, "isthmus", None)
        known = isinstance(caller, Caller) and caller.actor is not None
        path = str(getattr(self.request, "path", ""))
        if not known or _FORMS.fullmatch(path) is None or self._kept >= FILES_MAX:
            raise SkipFile
        self._kept += 1
        self._file = tempfile.TemporaryFile(dir=settings.ISTHMUS.data_dir)  # noqa: SIM115 - the request closes it

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if self._file is not None and start <= BYTES_MAX:
            self._file.write(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile[bytes] | None:
        if self._file is None:
            return None
        self._file.seek(0)
        found = UploadedFile(self._file, self.file_name, self.content_type, file_size, self.charset)
        self._file = None
        return found

    def upload_interrupted(self) -> None:
        if self._file is not None:
            self._file.close()
