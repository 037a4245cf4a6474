"""Prints what a directory or a tarball holds, a line a path, sorted by path.

    dump.py directory PATH
    dump.py tarball PATH        (gzip or not)

Columns: path, kind, mode, uid:gid, size, mtime, what it is (a file's SHA-1, a link's target, a
device's numbers), xattrs, and the first of all names of the same file if there are several. A
byte that is not printable, a space or a backslash is written `\\xNN`; an empty column is `-`.
Nothing of prebake's is used: this is the outside judge of its trees.
"""

import hashlib
import os
import stat
import sys
import tarfile


def escape(raw):
    return "".join(chr(b) if 0x21 <= b <= 0x7E and b != 0x5C else f"\\x{b:02x}" for b in raw)


class Node:
    def __init__(self, kind, mode, uid, gid, mtime):
        self.kind, self.mode, self.uid, self.gid, self.mtime = kind, mode, uid, gid, mtime
        self.size, self.what, self.xattrs = 0, b"", {}


def of_directory(top):
    names, inodes = {}, {}
    pending = [(os.fsencode(top), b"/")]
    while pending:
        host, guest = pending.pop()
        info = os.lstat(host)
        node = inodes.get((info.st_dev, info.st_ino))
        if node is None:
            form = stat.S_IFMT(info.st_mode)
            kind = {
                stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFCHR: "c",
                stat.S_IFBLK: "b", stat.S_IFIFO: "p", stat.S_IFSOCK: "s",
            }[form]
            seconds = info.st_mtime_ns // 10**9
            node = Node(kind, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, seconds)
            if kind == "f":
                node.size = info.st_size
                with open(host, "rb") as file:
                    node.what = hashlib.file_digest(file, "sha1").hexdigest().encode()
            elif kind == "l":
                node.what = os.readlink(host)
            elif kind in "cb":
                node.what = f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}".encode()
            for name in os.listxattr(host, follow_symlinks=False):
                value = os.getxattr(host, name, follow_symlinks=False)
                node.xattrs[os.fsencode(name)] = value
            inodes[(info.st_dev, info.st_ino)] = node
        names[guest] = node
        if node.kind == "d":
            for name in os.listdir(host):
                pending.append((host + b"/" + name, guest.rstrip(b"/") + b"/" + name))
    return names


def raw(text):
    return text.encode("utf-8", "surrogateescape")


def guest_name(text):
    name = raw(text).rstrip(b"/")
    if name.startswith(b"./"):
        name = name[2:]
    return b"/" if name in (b"", b".") else b"/" + name


def of_tarball(path):
    names = {}
    with tarfile.open(path, "r:*", errors="surrogateescape") as archive:
        for member in archive:
            name = guest_name(member.name)
            if member.islnk():
                names[name] = names[guest_name(member.linkname)]
                continue
            kind = {
                tarfile.REGTYPE: "f", tarfile.AREGTYPE: "f", tarfile.DIRTYPE: "d",
                tarfile.SYMTYPE: "l", tarfile.CHRTYPE: "c", tarfile.BLKTYPE: "b",
                tarfile.FIFOTYPE: "p",
            }[member.type]
            node = Node(kind, member.mode & 0o7777, member.uid, member.gid, int(member.mtime // 1))
            if kind == "f":
                node.size = member.size
                content = archive.extractfile(member).read()
                node.what = hashlib.sha1(content).hexdigest().encode()
            elif kind == "l":
                node.what = raw(member.linkname)
            elif kind in "cb":
                node.what = f"{member.devmajor}:{member.devminor}".encode()
            for key, value in member.pax_headers.items():
                if key.startswith("SCHILY.xattr."):
                    node.xattrs[raw(key[len("SCHILY.xattr."):])] = raw(value)
            names[name] = node
    return names


def main():
    form, path = sys.argv[1:]
    names = {"directory": of_directory, "tarball": of_tarball}[form](path)
    same = {}
    for name in sorted(names):
        same.setdefault(id(names[name]), []).append(name)
    for name in sorted(names):
        node = names[name]
        xattrs = ",".join(f"{escape(key)}={node.xattrs[key].hex()}" for key in sorted(node.xattrs))
        group = same[id(node)]
        print(
            escape(name), node.kind, f"{node.mode:04o}", f"{node.uid}:{node.gid}", node.size,
            node.mtime, escape(node.what) or "-", xattrs or "-",
            escape(group[0]) if len(group) > 1 else "-",
        )


main()
