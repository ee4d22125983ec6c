"""A real MediaWiki on this machine's loopback: Debian bookworm's package with PHP and SQLite.

Nothing is installed: the packages are downloaded and unpacked into a directory, from which
PHP's own server runs. Needs apt-get and dpkg on x86-64, Python 3.9 and no root.

    python3 reference/mediawiki/mediawiki.py unpack DIR
    python3 reference/mediawiki/mediawiki.py run DIR [--lang ar] [--dump FILE.xml] [--pages DIR] -- COMMAND…

unpack fetches the programs (56 MB, 350 MB on disk) and exits with status 75 where they cannot
be had. run makes an empty wiki, imports an XML dump and the pages of a folder (one file per
page, TITLE.wiki with %2F for a slash), starts the server on a free port, runs COMMAND with
MEDIAWIKI_API set to the address of api.php, and ends the server's process group.

As a module: `with MediaWiki(DIR, lang="ar") as wiki: wiki.edit(pages); wiki.html(title)`.
"""

import argparse
import contextlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

PACKAGES = (
    "mediawiki mediawiki-classes php8.2-cli php8.2-common php8.2-sqlite3 php8.2-mbstring php8.2-intl php8.2-xml "
    "php8.2-curl libargon2-1 libsodium23 libsqlite3-0 libonig5 libxml2 libicu72 libpcre2-8-0 libedit2 libxslt1.1 libssl3"
).split()
MODULES = (
    "calendar ctype dom fileinfo iconv intl mbstring pdo pdo_sqlite posix sqlite3 tokenizer xml xmlreader xmlwriter simplexml"
).split()
EXTENSIONS = "TextExtracts,ParserFunctions,Cite,Poem"
NOT_NOW = 75  # the exit status for "cannot be had here"

SETTINGS = """
$wgJobRunRate = 0;
$wgEnableUploads = false;
$wgRightsUrl = 'https://creativecommons.org/licenses/by-sa/4.0/';
$wgRightsText = 'Creative Commons Attribution-ShareAlike 4.0';
$wgMainCacheType = CACHE_NONE;
$wgParserCacheType = CACHE_NONE;
$wgMaxArticleSize = 4096;
$wgTranslateNumerals = false; // as on the Arabic Wikipedia
$wgPFEnableStringFunctions = true;
$wgExtraNamespaces[100] = 'Portal';
// Extension Math asks a server on the internet for each formula. Formulas are shown here as
// its mode "source" does: TeX between dollar signs.
$wgHooks['ParserFirstCallInit'][] = static function ( $parser ) {
	$show = static fn ( $tex ) => [
		Html::element( 'span', [ 'class' => 'tex' ], '$ ' . trim( $tex ) . ' $' ), 'markerType' => 'nowiki' ];
	$parser->setHook( 'math', static fn ( $tex ) => $show( $tex ?? '' ) );
	$parser->setHook( 'ce', static fn ( $tex ) => $show( '\\ce{' . $tex . '}' ) );
	$parser->setHook( 'chem', static fn ( $tex ) => $show( '\\ce{' . $tex . '}' ) );
};
// A file with a number of seconds makes requests with maxlag answer as a lagged wiki does.
$wgHooks['ApiMaxLagInfo'][] = function ( &$info ) {
	$file = __DIR__ . '/lag';
	if ( is_file( $file ) ) {
		$info = [ 'host' => 'replica', 'lag' => (float)file_get_contents( $file ), 'type' => 'db' ];
	}
};
"""


class Unavailable(Exception):
    """The programs cannot be had on this machine."""


def unpack(directory):
    """Puts PHP and MediaWiki into directory, unless they are there."""
    root = pathlib.Path(directory) / "root"
    if (root / "complete").exists():
        return root
    for program in ("apt-get", "dpkg"):
        if not shutil.which(program):
            raise Unavailable(f"{program} is missing: this is no Debian")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=directory) as debs:
        os.chmod(debs, 0o755)
        command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *PACKAGES]
        got = subprocess.run(command, cwd=debs, capture_output=True, text=True)
        if got.returncode != 0:
            # Lists of packages that are missing or old name files that are gone.
            subprocess.run(["apt-get", "-qq", "update"], capture_output=True)
            got = subprocess.run(command, cwd=debs, capture_output=True, text=True)
        if got.returncode != 0:
            raise Unavailable("apt-get download: " + got.stderr.strip()[-500:])
        for deb in sorted(pathlib.Path(debs).glob("*.deb")):
            subprocess.run(["dpkg", "-x", deb, root], check=True)
    wiki = root / "usr/share/mediawiki"
    for name in ("LocalSettings.php", "config", "extensions", "images"):
        (wiki / name).unlink()  # links to /var/lib and /etc
    (wiki / "extensions-core").rename(wiki / "extensions")
    (wiki / "images").mkdir()
    modules = next((root / "usr/lib/php").glob("20*"))
    (root / "php.ini").write_text(
        "\n".join([f"extension_dir={modules}", "memory_limit=1G", "error_reporting=0", "date.timezone=UTC"]
                  + [f"extension={m}" for m in MODULES]) + "\n")
    if subprocess.run(php(root) + ["-r", "exit(0);"], env=environment(root)).returncode != 0:
        raise Unavailable("the unpacked PHP does not run on this machine")
    (root / "complete").touch()
    return root


def php(root):
    return [str(root / "usr/bin/php8.2"), "-c", str(root / "php.ini")]


def environment(root, settings=None):
    env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
    env["LD_LIBRARY_PATH"] = f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu"
    env["PHP_INI_SCAN_DIR"] = ""
    env["PHP_CLI_SERVER_WORKERS"] = "3"
    if settings:
        env["MW_CONFIG_FILE"] = str(settings)
    return env


class MediaWiki:
    """A wiki with no pages but its main page, until the context ends."""

    def __init__(self, directory, lang="en"):
        self.lang, self.root = lang, unpack(directory)
        self.base = self.root / "usr/share/mediawiki"
        self.server = None

    def __enter__(self):
        # SQLite waits for the disk at each request, where there is one.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="mediawiki-", dir=memory))
        try:
            self._install()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _install(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.api_url = self.url + "/api.php"
        self.settings = self.data / "LocalSettings.php"
        self._php("maintenance/install.php", "--dbtype", "sqlite", "--dbpath", str(self.data), "--dbname", self.lang + "wiki",
                  "--server", self.url, "--scriptpath", "", "--lang", self.lang, "--pass", secrets.token_hex(16),
                  "--confpath", str(self.data), "--extensions", EXTENSIONS, "Wikipedia", "Admin", settings=None)
        with self.settings.open("a") as f:
            f.write(SETTINGS)
        self._interwiki()

    def _interwiki(self):
        """Makes the usual prefixes known: sister projects, and languages."""
        rows = [("wikt", "wiktionary"), ("s", "wikisource"), ("commons", "commons"), ("d", "wikidata")]
        rows += [(code, code + ".wikipedia") for code in "ar de en es fr ja zh he fa".split() if code != self.lang]
        values = ",".join(f"('{p}','https://{h}.org/wiki/$1','','',0,0)" for p, h in rows)
        sql = self.data / "interwiki.sql"
        sql.write_text("INSERT OR REPLACE INTO interwiki (iw_prefix,iw_url,iw_api,iw_wikiid,iw_local,iw_trans) "
                       f"VALUES {values};\n")
        self._php("maintenance/sql.php", str(sql))

    def _start(self):
        log = (self.data / "server.log").open("wb")
        # Workers outlive their parent: they have a process group of their own, which __exit__ ends.
        self.server = subprocess.Popen(
            php(self.root) + ["-S", f"127.0.0.1:{self.port}", "-t", str(self.base)], cwd=self.base, stdout=log, stderr=log,
            env=environment(self.root, self.settings), start_new_session=True)
        for _ in range(200):
            if self.server.poll() is not None:
                raise RuntimeError("PHP's server ended: " + (self.data / "server.log").read_text())
            with contextlib.suppress(OSError):
                self.api(action="query", meta="siteinfo")
                return
            time.sleep(0.1)
        raise RuntimeError("PHP's server does not answer")

    def __exit__(self, *_):
        if self.server:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.server.pid, signal.SIGKILL)
            self.server.wait()
        shutil.rmtree(self.data, ignore_errors=True)

    def _php(self, *args, stdin=None, settings="own"):
        done = subprocess.run(
            php(self.root) + list(args), cwd=self.base, input=stdin, text=True, capture_output=True,
            env=environment(self.root, self.settings if settings else None))
        if done.returncode != 0:
            raise RuntimeError(f"{args[0]}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
        return done.stdout

    def edit(self, pages):
        """Writes pages, a dict of titles to wikitext."""
        from xml.sax.saxutils import escape
        parts = ['<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11">']
        for title, text in pages.items():
            parts.append(
                f"<page><title>{escape(title)}</title><revision><timestamp>2024-01-01T00:00:00Z</timestamp>"
                f"<contributor><username>Admin</username></contributor>"
                f'<text xml:space="preserve">{escape(text)}</text></revision></page>')
        file = self.data / "import.xml"
        file.write_text("\n".join(parts) + "</mediawiki>", encoding="utf-8")
        self.load(file)

    def load(self, dump):
        """Imports an XML dump; .bz2 and .gz are decompressed."""
        self._php("maintenance/importDump.php", "--no-updates", str(pathlib.Path(dump).resolve()))
        self._php("maintenance/runJobs.php")

    def dump(self, path):
        """Writes the current revisions as an XML dump."""
        pathlib.Path(path).write_text(self._php("maintenance/dumpBackup.php", "--current", "--quiet"), encoding="utf-8")

    def api(self, **query):
        """Calls the action API and returns its answer."""
        query |= {"format": "json", "formatversion": "2"}
        data = urllib.parse.urlencode(query).encode()
        with urllib.request.urlopen(self.api_url, data, timeout=300) as r:
            answer = json.load(r)
        if "error" in answer:
            raise RuntimeError(str(answer["error"]))
        return answer

    def html(self, title):
        """The page as the parser renders it."""
        return self.api(action="parse", page=title, prop="text", disableeditsection="1", disabletoc="1")["parse"]["text"]

    def render(self, text, title="Test"):
        """The HTML of a text that is no page."""
        return self.api(action="parse", text=text, title=title, contentmodel="wikitext", prop="text",
                        disableeditsection="1", disabletoc="1", disablelimitreport="1")["parse"]["text"]

    def extract(self, title):
        """The page as TextExtracts gives it, with == headings ==."""
        pages = self.api(action="query", prop="extracts", titles=title, explaintext="1", exsectionformat="wiki")["query"]["pages"]
        return pages[0].get("extract", "")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("work", choices=("unpack", "run"))
    p.add_argument("directory")
    p.add_argument("--lang", default="en")
    p.add_argument("--dump")
    p.add_argument("--pages")
    argv, command = sys.argv[1:], []
    if "--" in argv:
        argv, command = argv[: argv.index("--")], argv[argv.index("--") + 1:]
    a = p.parse_args(argv)
    try:
        unpack(a.directory)
    except Unavailable as e:
        print(f"no MediaWiki here: {e}", file=sys.stderr)
        sys.exit(NOT_NOW)
    if a.work == "unpack":
        return
    if not command:
        p.error("run needs -- COMMAND")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the context ends
    with MediaWiki(a.directory, a.lang) as wiki:
        if a.dump:
            wiki.load(a.dump)
        if a.pages:
            wiki.edit({urllib.parse.unquote(f.stem): f.read_text(encoding="utf-8") for f in sorted(pathlib.Path(a.pages).glob("*.wiki"))})
        env = os.environ | {"MEDIAWIKI_API": wiki.api_url, "MEDIAWIKI_DATA": str(wiki.data)}
        code = subprocess.run(command, env=env).returncode
    sys.exit(code)


if __name__ == "__main__":
    main()
