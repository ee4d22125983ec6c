"""Makes a multistream dump and its index of any XML dump, as Wikimedia publishes them.

    python3 reference/data/multistream.py DUMP.xml[.bz2] OUT-multistream.xml.bz2 [--pages 100]

The first stream holds the header, each of the others --pages pages, and the last the end of
the root element. The index, OUT-multistream-index.txt.bz2, has a line offset:pageid:title per
page. Needs the standard library alone.
"""

import argparse
import bz2
import re


def write(dump, out_path, per_stream):
    """Writes the dump at a path as a multistream dump with so many pages per stream, and its index."""
    opened = bz2.open(dump, "rb") if dump.endswith(".bz2") else open(dump, "rb")
    with opened:
        text = opened.read()
    first = text.index(b"<page>")
    first -= len(text[:first]) - len(text[:first].rstrip(b" "))  # with its indentation
    header, pages = text[:first], re.findall(rb" *<page>.*?</page>\n?", text[first:], re.S)
    index = []
    with open(out_path, "wb") as out:
        out.write(bz2.compress(header))
        for i in range(0, len(pages), per_stream):
            at, batch = out.tell(), pages[i : i + per_stream]
            for page in batch:
                title = re.search(rb"<title>(.*?)</title>", page).group(1)
                index.append(b"%d:%s:%s\n" % (at, re.search(rb"<id>(\d+)</id>", page).group(1), title))
            out.write(bz2.compress(b"".join(batch)))
        out.write(bz2.compress(b"</mediawiki>\n"))
    name = out_path.replace("multistream", "multistream-index").replace(".xml", ".txt")
    with open(name, "wb") as out:
        out.write(bz2.compress(b"".join(index)))
    print(len(pages), "pages,", len(text), "bytes of XML")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dump")
    parser.add_argument("out")
    parser.add_argument("--pages", type=int, default=100)
    args = parser.parse_args()
    write(args.dump, args.out, args.pages)


if __name__ == "__main__":
    main()
