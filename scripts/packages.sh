# shellcheck shell=bash
# Sourced by the scripts: installs Debian and Ubuntu packages that are missing.

# How long to wait for somebody else who installs packages: unattended upgrades take minutes.
APT_WAIT_SECONDS=${APT_WAIT_SECONDS:-900}

# apt_get ARGUMENT ...: apt-get, as root, which waits for its locks. apt itself waits for dpkg's alone, and without a
# word: those of the lists and of the downloads are tried again. What apt-get says is shown when it fails.
apt_get() {
	local as_root=() said end=$((SECONDS + APT_WAIT_SECONDS)) waits=
	[ "$(id -u)" -eq 0 ] || as_root=(sudo)
	until said=$("${as_root[@]}" env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=3 "$@" \
		2>&1 </dev/null); do
		if [[ ! $said =~ "Could not get lock"|"is another process using it" ]] || [ "$SECONDS" -ge "$end" ]; then
			tail -n 20 <<<"$said" >&2
			return 1
		fi
		[ -n "$waits" ] || echo "another program holds a lock of the package system; waiting for it"
		waits=yes
		sleep 1
	done
}

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
	echo "installing: ${missing[*]}"
	# What is there of the lists may do, where some of them cannot be had just now.
	apt_get update || echo "apt-get update failed; installing from the lists that are there" >&2
	apt_get install -y --no-install-recommends "${missing[@]}"
}

# What building takes.
need_to_build() {
	need pkg-config:pkg-config
	need gcc:build-essential make:make autoreconf:autoconf automake:automake libtoolize:libtool libevent:libevent-dev \
		libwebsockets:libwebsockets-dev libssl:libssl-dev libcares:libc-ares-dev libidn2:libidn2-dev \
		libbsd-overlay:libbsd-dev
}

# build DIRECTORY CONFIGURE-OPTION ...
build() {
	local directory=$1
	shift
	if [ ! -x configure ] || [ configure.ac -nt configure ]; then
		local said
		said=$(autoreconf -fi 2>&1) || {
			echo "$said" >&2
			return 1
		}
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
