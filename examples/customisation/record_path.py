"""A nightly script of the PBX moves recordings into a folder for each line (document 000, 3c)."""

from pathlib import PurePosixPath

FOLDERS = {"+74951234567": "moscow", "+78121234567": "spb"}


def process_record_file_path(data):
    folder = FOLDERS.get(data["call"]["line"])
    if folder is None:
        return data["path"]
    return str(PurePosixPath(folder) / PurePosixPath(data["path"]).name)
