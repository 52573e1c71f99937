#!/usr/bin/env bash
# Installs a build into a folder of its own, and uses what is there as somebody would who has only that.
#
#   tests/installation.sh BUILD

set -euo pipefail
build=$(realpath "${1:?the build directory is missing}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "$*" >&2
	exit 1
}

make -s -C "$build" install DESTDIR="$work/root" >"$work/install.log" 2>&1 || fail "$(cat "$work/install.log")"
prefix=$(sed -n 's/^prefix = //p' "$build/Makefile")
root=$work/root$prefix

# libwisp NAME ...: what pkg-config says of the library, where it is now.
libwisp() {
	PKG_CONFIG_PATH=$root/lib/pkgconfig pkg-config --define-variable=prefix="$root" "$@" libwisp
}

cat >"$work/use.c" <<'END'
#include <stdio.h>
#include <wisp/wisp.h>

int
main(void)
{
	char key[WISP_UPGRADE_KEY_SIZE], accept[WISP_UPGRADE_ACCEPT_SIZE];

	if (!wisp_upgrade_key(key) || !wisp_upgrade_accept(key, accept))
		return 1;
	return puts(wisp_reason_text(WISP_REASON_VOLUNTARY)) < 0;
}
END
read -ra cflags <<<"$(libwisp --cflags)"
read -ra libs <<<"$(libwisp --libs)"
read -ra static_libs <<<"$(libwisp --static --libs)"
# A build with sanitizers needs them in what uses its library, too.
read -ra sanitizers <<<"$(sed -n 's/^SANITIZERS = *//p' "$build/Makefile")"

echo "libwisp, shared:"
cc -Wall -Werror "${sanitizers[@]}" "${cflags[@]}" "$work/use.c" "${libs[@]}" -o "$work/shared"
# Not in a pipe: ldd would fail, some times, when grep has seen enough.
used=$(LD_LIBRARY_PATH=$root/lib ldd "$work/shared")
grep -q "libwisp.so.* => $root/lib/" <<<"$used" || fail "libwisp.so is not used: $used"
LD_LIBRARY_PATH=$root/lib "$work/shared"

echo "libwisp, static:"
# Without the shared one, -lwisp finds the other; what it needs in turn may be shared.
mkdir "$work/static"
mv "$root"/lib/libwisp.so* "$work/static"
cc -Wall -Werror "${sanitizers[@]}" "${cflags[@]}" "$work/use.c" "${static_libs[@]}" -o "$work/alone"
mv "$work/static"/* "$root/lib"
"$work/alone"

echo "Symbols of libwisp.so:"
symbols=$(nm -D --defined-only "$root/lib/libwisp.so" | awk '{ print $NF }')
echo "$symbols" | wc -l
foreign=$(grep -v '^wisp_' <<<"$symbols" || true)
[ -n "$symbols" ] || fail "there are none"
[ -z "$foreign" ] || fail "not named after the library: $foreign"

echo "Programs:"
"$root/bin/wispsocks" --version
"$root/bin/wispcheck" --version
"$root/bin/wispd" --version

echo "What stands beside them:"
for file in share/man/man1/wisp{socks,check}.1 share/man/man8/wispd.8 share/man/man5/wispsocks.conf.5 share/man/man7/wisp-extensions.7 \
	share/bash-completion/completions/wisp{socks,d,check} share/zsh/site-functions/_wisp{socks,d,check} \
	share/fish/vendor_completions.d/wisp{socks,d,check}.fish; do
	[ -s "$root/$file" ] || fail "$file is missing, or empty"
	echo "$file"
done
units=$(sed -n 's/^systemdsystemunitdir = //p' "$build/Makefile")
for unit in ${units:+wispsocks.service wispsocks.socket wispd.service wispd.socket}; do
	[ -s "$work/root$units/$unit" ] || fail "$unit is missing, or empty"
	! grep '@[a-z]*@' "$work/root$units/$unit" || fail "$unit has something left to fill in"
	echo "$units/$unit"
done
