# shellcheck shell=bash
# Sourced by the scripts: installs Debian and Ubuntu packages that are missing.

# Where Debian has nginx, haproxy and dnsmasq, and what dpkg calls: not in everybody's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

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

# need COMMAND:PACKAGE | MODULE.pc:PACKAGE ...
# Installs the package of each command that is not there, and of each library that pkg-config does not know. They are told
# apart since some names are both: where there is openssl.pc, openssl may still be missing.
need() {
	local item what package missing=()
	for item in "$@"; do
		what=${item%%:*} package=${item#*:}
		case $what in
		*.pc) pkg-config --exists "${what%.pc}" 2>/dev/null ;;
		*) command -v "$what" >/dev/null 2>&1 ;;
		esac || missing+=("$package")
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
	need gcc:build-essential make:make autoreconf:autoconf automake:automake libtoolize:libtool \
		libevent.pc:libevent-dev libwebsockets.pc:libwebsockets-dev libssl.pc:libssl-dev libcares.pc:libc-ares-dev \
		libidn2.pc:libidn2-dev libbsd-overlay.pc:libbsd-dev
}

# quietly COMMAND ...: what it says, warnings too, is shown only when it fails.
quietly() {
	local said
	said=$("$@" 2>&1) || {
		echo "$said" >&2
		return 1
	}
}

# configured DIRECTORY CONFIGURE-OPTION ...: whether it is, with these options and perhaps more.
configured() {
	local directory=$1 option each found with=()
	shift
	[ -f "$directory/Makefile" ] || return
	eval "with=($("$directory/config.status" --config))" || return # quoted for a shell
	for option in "$@"; do
		found=
		for each in "${with[@]}"; do
			[ "$each" != "$option" ] || found=yes
		done
		[ -n "$found" ] || return
	done
}

# build DIRECTORY CONFIGURE-OPTION ...
build() {
	local directory=$1
	shift
	if [ ! -x configure ] || [ configure.ac -nt configure ]; then
		quietly autoreconf -fi || return 1
	fi
	if ! configured "$directory" "$@"; then
		# Objects of another configuration look as if they were up to date.
		[ ! -f "$directory/Makefile" ] || make -s -C "$directory" clean >/dev/null || return 1
		mkdir -p "$directory" || return 1
		(cd "$directory" && quietly "$OLDPWD/configure" -q "$@") || return 1
	fi
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
