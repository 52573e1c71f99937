# shellcheck shell=bash
# Sourced by the scripts: installs Debian and Ubuntu packages that are missing.

# need COMMAND-OR-PKGCONFIG-MODULE:PACKAGE ...
# Installs the package of each command or library that is not there.
need() {
	local item what package missing=()
	for item in "$@"; do
		what=${item%%:*} package=${item#*:}
		command -v "$what" >/dev/null 2>&1 || pkg-config --exists "$what" 2>/dev/null || missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] && return
	if ! command -v apt-get >/dev/null 2>&1; then
		echo "missing: ${missing[*]} (Debian's names); install them and run this again" >&2
		return 1
	fi
	local as_root=()
	[ "$(id -u)" -eq 0 ] || as_root=(sudo)
	echo "installing: ${missing[*]}"
	"${as_root[@]}" apt-get update -q >/dev/null
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" \
		</dev/null >/dev/null
}

# What building takes.
need_to_build() {
	need pkg-config:pkg-config
	need gcc:build-essential make:make autoreconf:autoconf automake:automake libtoolize:libtool libevent:libevent-dev \
		libwebsockets:libwebsockets-dev libssl:libssl-dev libbsd-overlay:libbsd-dev
}

# build DIRECTORY CONFIGURE-OPTION ...
build() {
	local directory=$1
	shift
	if [ ! -x configure ] || [ configure.ac -nt configure ]; then
		autoreconf -fi >/dev/null 2>&1
	fi
	mkdir -p "$directory"
	[ -f "$directory/Makefile" ] || (cd "$directory" && "$OLDPWD/configure" -q "$@")
	make -s -C "$directory" -j"$(nproc)"
}

need_venv() {
	python3 -c 'import venv, ensurepip' 2>/dev/null || need no-venv:python3-venv
}

# install_servers DIRECTORY: the real Wisp servers, and what the tests in Python take.
install_servers() {
	[ -x "$1/venv/bin/python" ] || python3 -m venv "$1/venv" || return 1
	"$1/venv/bin/pip" install -q --disable-pip-version-check -r tests/integration/requirements.txt || return 1
	cp tests/integration/package.json "$1/" || return 1
	npm install --prefix "$1" --no-audit --no-fund --silent
}
