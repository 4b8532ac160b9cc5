#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Set the lab up on this host (Debian packages, a Python environment), then run
# the given command. A complete set-up is not checked again.

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
venv=$here/.venv
list=$here/lab/host/packages.txt
yes=${CI:+1}
packages=1

usage() {
	cat <<'END'
kextlab: do Linux kernels survive their extensions?

  ./lab.sh try                   run one scenario on Debian's own kernel; under a minute
  ./lab.sh scenarios [ARG...]    run all scenarios with pytest; ARGs go to pytest
  ./lab.sh test [ARG...]         check style and types, run the lab's own tests; ARGs go
                                 to pytest
  ./lab.sh COMMAND [ARG...]      run a command of the lab: doctor, run, check, judge,
                                 explain, schema, shell, kernel, extension, soak, bench
  ./lab.sh --help                show this text; `./lab.sh lab --help` lists the commands

Options go before the command; --yes may also follow it:
  --yes            install missing Debian packages without asking (CI=1 does the same)
  --no-packages    do not check or install Debian packages
Set LAB_PYTHON to use another Python than the first one in PATH.

The first run sets the lab up. It installs missing Debian packages (it says which
and why, and asks first) and makes a Python environment in .venv. Later runs start
at once.
END
}

say() { printf '%s\n' "lab.sh: $*" >&2; }

die() {
	say "$@"
	exit 1
}

# --- Debian packages ---------------------------------------------------------

# Succeed if one alternative of `a,b,/pattern/*,~/pattern` exists: a program or a file.
shown() {
	alternatives=$1
	while [ -n "$alternatives" ]; do
		one=${alternatives%%,*}
		case $alternatives in
		*,*) alternatives=${alternatives#*,} ;;
		*) alternatives= ;;
		esac
		# shellcheck disable=SC2088  # written so in the list, expanded here
		case $one in '~/'*) one=${HOME:-/root}${one#\~} ;; esac
		case $one in
		/*)
			set +f
			IFS= # a home folder may have a blank in its name
			for file in $one; do
				[ -e "$file" ] && return 0
			done
			set -f
			;;
		*)
			PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$one" >/dev/null 2>&1 &&
				return 0
			;;
		esac
	done
	return 1
}

# Print `package<TAB>why` for each package of the list that is missing.
# $1 lists the needs to consider.
missing_packages() (
	set -f
	while IFS='|' read -r name need tokens why; do
		case $name in '' | '#'*) continue ;; esac
		need=${need# } need=${need% }
		case " $1 " in *" $need "*) ;; *) continue ;; esac
		for token in $tokens; do
			if ! (shown "$token"); then
				printf '%s\t%s\n' "${name%% *}" "${why# }"
				break
			fi
		done
	done <"$list"
)

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

confirm() {
	[ -n "$yes" ] && return 0
	[ -t 0 ] || return 1
	printf 'Install them now? [Y/n] ' >&2
	read -r answer || return 1
	case $answer in '' | [yY]*) return 0 ;; *) return 1 ;; esac
}

# Print those of the given packages that apt does not know.
unknown_to_apt() {
	for name in "$@"; do
		apt-cache show "$name" >/dev/null 2>&1 || printf '%s ' "$name"
	done
}

other_way() {
	say "On Debian 12 and 13 every package above exists under this name. On another system,"
	say "install packages that provide the same programs and files, then run this again."
	say "Kernels can come from a tarball or a built tree (tarball: or tree: in"
	say "kconfigs/<flavor>/kernel.yaml)."
}

install_packages() {
	missing=$(missing_packages "$1")
	[ -n "$missing" ] || return 0
	say "these Debian packages are missing:"
	printf '%s\n' "$missing" | sed 's/^\([^	]*\)	/  \1: /' >&2
	names=$(printf '%s\n' "$missing" | cut -f1 | tr '\n' ' ')
	if ! command -v apt-get >/dev/null 2>&1; then
		other_way
		die "this host has no apt-get."
	fi
	command="apt-get install --no-install-recommends $names"
	if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null 2>&1; then
		die "you are not root, and sudo is not installed; as root: $command"
	fi
	confirm || die "not installed. As root: $command   (or ./lab.sh --yes ...)"

	# shellcheck disable=SC2086  # the names are single words of our own list
	unknown=$(unknown_to_apt $names)
	if [ -n "$unknown" ]; then
		as_root apt-get update
		# shellcheck disable=SC2086
		unknown=$(unknown_to_apt $names)
	fi
	known=
	for name in $names; do
		case " $unknown " in *" $name "*) ;; *) known="$known $name" ;; esac
	done
	if [ -n "$known" ]; then
		# shellcheck disable=SC2086
		apt_install $known || {
			# Outdated lists name files that no longer exist.
			as_root apt-get update
			apt_install $known
		}
	fi
	if [ -n "$unknown" ]; then
		other_way
		die "apt knows no package $unknown"
	fi
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600 "$@"
}

# --- Python ------------------------------------------------------------------

# Print the first Python in PATH that is new enough. A folder may hold an older one, too.
find_python() (
	set -f
	IFS=:
	for folder in ${LAB_PYTHON:+"${LAB_PYTHON%/*}"} $PATH; do
		for name in ${LAB_PYTHON:+"${LAB_PYTHON##*/}"} python3 python3.13 python3.12 python3.11; do
			[ -x "$folder/$name" ] || continue
			if "$folder/$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
				printf '%s\n' "$folder/$name"
				return 0
			fi
		done
	done
	return 1
)

make_venv() {
	python=$(find_python) || die "the lab needs Python 3.11 or newer: apt-get install python3"
	if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
		# Debian has ensurepip and venv in a separate package.
		version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
		case $("$python" -c 'import sys; print(sys.prefix)') in
		/usr) package="python$version-venv" ;;
		*) die "$python can't make environments (no module ensurepip or venv)" ;;
		esac
		say "the Debian package $package is missing: it makes Python environments"
		command -v apt-get >/dev/null 2>&1 || die "install the modules ensurepip and venv for $python"
		if [ "$packages" = 0 ] || ! confirm; then
			die "not installed. As root: apt-get install $package"
		fi
		[ -z "$(unknown_to_apt "$package")" ] || as_root apt-get update
		apt_install "$package"
	fi
	"$python" -m venv "$venv"
}

# Print a checksum of all that the environment depends on: the package list, the project
# file, and the folder of the checkout.
fingerprint() {
	{ echo "$here" && cat "$here/pyproject.toml" "$list"; } | sha256sum | cut -d' ' -f1
}

ready() { # ready EXTRAS
	[ -f "$venv/.kextlab-stamp" ] || return 1
	read -r stamp extras <"$venv/.kextlab-stamp" || return 1
	[ "$stamp" = "$(fingerprint)" ] || return 1
	[ "$1" = core ] || [ "$extras" = dev ]
}

set_up() { # set_up core|dev
	ready "$1" && return 0
	# If two set-ups run at once, the second waits here and finds the work done.
	# The lock is on the folder itself, so it leaves no file. Child processes
	# inherit it, so a killed set-up holds it until its pip has ended.
	exec 9<"$here"
	if command -v flock >/dev/null 2>&1 && ! flock -n 9; then
		say "waiting for another set-up of this checkout"
		flock 9
	fi
	if ! ready "$1"; then
		needs=yes
		[ "$1" = dev ] && needs="yes tests"
		[ "$packages" = 0 ] || install_packages "$needs"
		make_environment "$1"
	fi
	exec 9<&-
}

make_environment() { # make_environment core|dev
	# An interrupted set-up leaves no stamp, but perhaps half a package. So make
	# the environment again. Only add to a .venv that the user made.
	if [ -f "$venv/.kextlab-made" ] && [ ! -f "$venv/.kextlab-stamp" ]; then
		say "the last set-up was interrupted: starting again"
		for part in pyvenv.cfg bin include lib lib64; do
			rm -rf "${venv:?}/$part"
		done
	fi
	if [ ! -x "$venv/bin/python" ]; then
		mkdir -p "$venv"
		: >"$venv/.kextlab-made"
		make_venv
	fi
	extras=$1
	if [ -f "$venv/.kextlab-stamp" ]; then
		case $(cat "$venv/.kextlab-stamp") in *" dev") extras=dev ;; esac
		rm "$venv/.kextlab-stamp"
	fi
	what=$here
	[ "$extras" = dev ] && what="${here}[dev]"
	say "installing Python packages into .venv (once, about a minute)"
	"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --progress-bar off \
		--editable "$what" || die "pip failed; fix the problem and run this again"
	echo "$(fingerprint) $extras" >"$venv/.kextlab-stamp.new"
	mv "$venv/.kextlab-stamp.new" "$venv/.kextlab-stamp"
}

# --- commands ----------------------------------------------------------------

run_tests() {
	cd "$here"
	PATH=$venv/bin:$PATH
	export PATH
	ruff check .
	ruff format --check .
	mypy
	shellcheck lab.sh images/*/init
	# Some tests boot these kernels. A build here shows its progress.
	[ $# -gt 0 ] || lab kernel build stock rex
	# As many tests at once as guests fit on this host; `-n 0` among the arguments: one.
	exec pytest tests -n auto "$@"
}

while :; do
	case ${1:-} in
	--yes | -y) yes=1 ;;
	--no-packages) packages=0 ;;
	*) break ;;
	esac
	shift
done

# --yes means the same after the command. All other arguments there go to pytest or the lab.
case "${1:-} ${2:-}" in
"scenarios --yes" | "test --yes" | "try --yes" | "setup --yes")
	word=$1 yes=1
	shift 2
	set -- "$word" "$@"
	;;
esac

case ${1:-} in
'' | -h | --help | help)
	usage
	;;
scenarios)
	shift
	set_up core
	exec "$venv/bin/pytest" "$here/scenarios/" "$@"
	;;
test)
	shift
	set_up dev
	run_tests "$@"
	;;
try)
	shift
	set_up core
	exec "$venv/bin/lab" run --kernel debian "$@" "$here/scenarios/basic/kprobe-counts.yaml"
	;;
setup)
	set_up "${2:-core}"
	;;
lab)
	shift
	set_up core
	exec "$venv/bin/lab" "$@"
	;;
-*)
	usage >&2
	die "unknown option $1"
	;;
*)
	set_up core
	exec "$venv/bin/lab" "$@"
	;;
esac
